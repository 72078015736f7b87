{{/* Names, labels and images that several templates share. */}}

{{/* By Helm's convention: the release's name, with the chart's (as a dependency, its alias) unless the release
     is named after it. 52 characters leave room for what Kubernetes appends to a StatefulSet's name. */}}
{{- define "qa-worker.name" -}}
{{- $name := printf "%s-%s" .Release.Name .Chart.Name -}}
{{- if contains .Chart.Name .Release.Name }}{{ $name = .Release.Name }}{{ end -}}
{{ .Values.fullnameOverride | default $name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "qa-worker.serviceName" -}}
{{ .Values.service.name | default (printf "%s-metrics" (include "qa-worker.name" .)) }}
{{- end }}

{{/* The label has the name of the resources, so that two releases in one namespace select their own pods.
     Helm itself adds app.kubernetes.io/managed-by. */}}
{{- define "qa-worker.selector" -}}
app.kubernetes.io/name: {{ include "qa-worker.name" . }}
{{- end }}

{{- define "qa-worker.labels" -}}
{{ include "qa-worker.selector" . }}
app.kubernetes.io/part-of: question-answering
{{- end }}

{{- define "qa-worker.image" -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Helm reads numbers as floats: 16777216 would become 1.6777216e+07. */}}
{{- define "qa-worker.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}{{ else }}{{ printf "%v" . }}{{ end }}
{{- end }}

{{/* A setting, or its default: (list . NAME DEFAULT). */}}
{{- define "qa-worker.setting" -}}
{{- $value := get (index . 0).Values.settings (index . 1) -}}
{{- if kindIs "invalid" $value }}{{ index . 2 }}{{ else }}{{ include "qa-worker.text" $value | default (index . 2) }}{{ end }}
{{- end }}

{{- define "qa-worker.containerSecurity" -}}
allowPrivilegeEscalation: false
# The worker writes no file, so it needs no /tmp.
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
