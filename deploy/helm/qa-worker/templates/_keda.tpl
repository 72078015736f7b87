{{/* KEDA's scaler is a Kafka client of its own. What it has in common with the worker comes from `settings`. */}}

{{/* The topics of questions, without their weights, as JSON. */}}
{{- define "qa-worker.topics" -}}
{{- $topics := list -}}
{{- $weighted := include "qa-worker.setting" (list . "QA_QUESTIONS_TOPICS" "") -}}
{{- range splitList "," ($weighted | default (include "qa-worker.setting" (list . "QA_QUESTIONS_TOPIC" "qa.questions"))) -}}
{{- $topics = append $topics (splitList ":" (trim .) | first) -}}
{{- end -}}
{{ toJson $topics }}
{{- end }}

{{/* Login and TLS of a trigger, as the worker has them. */}}
{{- define "qa-worker.triggerLogin" -}}
{{- $protocol := include "qa-worker.setting" (list . "KAFKA_SECURITY_PROTOCOL" "PLAINTEXT") -}}
{{- if hasPrefix "SASL_" $protocol }}
{{- $mechanism := include "qa-worker.setting" (list . "KAFKA_SASL_MECHANISM" "PLAIN") -}}
{{- $names := dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512" "OAUTHBEARER" "oauthbearer" "AWS_MSK_IAM" "oauthbearer" }}
sasl: {{ get $names $mechanism | required (printf "settings.KAFKA_SASL_MECHANISM is %s, which KEDA does not have" $mechanism) }}
{{- if eq $mechanism "AWS_MSK_IAM" }}
saslTokenProvider: aws_msk_iam
awsRegion: {{ include "qa-worker.setting" (list . "AWS_REGION" "") | required "settings.AWS_REGION is needed: KEDA logs in to MSK in a region" }}
{{- end }}
{{- end }}
{{- if hasSuffix "SSL" $protocol }}
tls: enable
{{- end }}
{{- end }}
