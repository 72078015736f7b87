{{/* The specification of the worker's pods. */}}
{{- define "qa-worker.pod" -}}
{{- $name := include "qa-worker.name" . -}}
serviceAccountName: {{ $name }}
automountServiceAccountToken: false
# Service links would add QA_... variables for services named qa-..., and the worker refuses
# unknown QA_... variables.
enableServiceLinks: false
# The worker does not start if its shutdown budget does not fit.
terminationGracePeriodSeconds: {{ include "qa-worker.setting" (list . "QA_TERMINATION_GRACE_PERIOD_SECONDS" "30") }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "qa-worker.selector" $ | nindent 8 }}
  {{- end }}
{{- if .Values.modelVolume.enabled }}
initContainers:
  - {{ include "qa-worker.modelContainer" . | nindent 4 | trim }}
{{- end }}
containers:
  - name: worker
    image: {{ include "qa-worker.image" (list . .Values.image) }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: [run]
    envFrom:
      - configMapRef:
          name: {{ $name }}
    {{- with .Values.env }}
    env:
      {{- range $variable, $source := . }}
      {{- with $source }}
      - name: {{ $variable }}
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
    {{- end }}
    ports:
      - name: http
        containerPort: {{ include "qa-worker.setting" (list . "QA_HTTP_PORT" "8080") }}
    securityContext:
      {{- include "qa-worker.containerSecurity" . | nindent 6 }}
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    # The port answers before the model is loaded, so this waits for the interpreter only. It
    # does not depend on the brokers: a restart would not end their outage.
    startupProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 2
      timeoutSeconds: 2
      failureThreshold: 30
    readinessProbe:
      httpGet:
        path: /readyz
        port: http
      periodSeconds: 5
      timeoutSeconds: 2
      failureThreshold: 2
    # Fails if the event loop is blocked, or if work is pending and no record completes for
    # QA_STALL_SECONDS (120).
    livenessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    {{- if or .Values.volumes .Values.modelVolume.enabled }}
    volumeMounts:
      {{- if .Values.modelVolume.enabled }}
      - name: models
        mountPath: /models
        readOnly: true
      {{- end }}
      {{- range $volume, $spec := .Values.volumes }}
      {{- with $spec }}
      - name: {{ $volume }}
        {{- omit . "source" | toYaml | nindent 8 }}
      {{- end }}
      {{- end }}
    {{- end }}
{{- if or .Values.volumes .Values.modelVolume.enabled }}
volumes:
  {{- if .Values.modelVolume.enabled }}
  - name: models
    {{- toYaml .Values.modelVolume.source | nindent 4 }}
  - name: scratch
    emptyDir:
      sizeLimit: 1Gi
  {{- end }}
  {{- range $volume, $spec := .Values.volumes }}
  {{- with $spec }}
  - name: {{ $volume }}
    {{- toYaml .source | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The init container that fetches a model. */}}
{{- define "qa-worker.modelContainer" -}}
name: model
image: {{ include "qa-worker.image" (list . .Values.modelVolume.image) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
# A persistent volume may hold the bundle already. A bundle appears under its name only when
# it is complete.
command: [sh, -ec]
args:
  - |
    test -d "$QA_MODELS/$QA_MODEL" || qa-worker model pull "$MODEL_REPOSITORY" \
      --revision "$MODEL_REVISION" --name "$QA_MODEL" --quantize per-token
envFrom:
  - configMapRef:
      name: {{ include "qa-worker.name" . }}
env:
  - name: MODEL_REPOSITORY
    value: {{ .Values.modelVolume.repository }}
  - name: MODEL_REVISION
    value: {{ .Values.modelVolume.revision | quote }}
  # Downloads and temporary files.
  - name: HF_HOME
    value: /scratch
  - name: TMPDIR
    value: /scratch
securityContext:
  {{- include "qa-worker.containerSecurity" . | nindent 2 }}
resources:
  requests:
    {{- toYaml .Values.modelVolume.resources | nindent 4 }}
  limits:
    {{- toYaml .Values.modelVolume.resources | nindent 4 }}
volumeMounts:
  - name: models
    mountPath: /models
  - name: scratch
    mountPath: /scratch
{{- end }}
