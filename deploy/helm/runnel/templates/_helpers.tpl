{{- define "runnel.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "runnel.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "runnel.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "runnel.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "runnel.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "runnel.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "runnel.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- /* A gateway that anybody may use is refused by the binary, too; here it can be
said before pods crash. */ -}}
{{- define "runnel.checkAccess" -}}
{{- $c := .Values.config -}}
{{- if not (or .Values.insecure (get $c "keys") (get $c "issuers") (get $c "webhook") (dig "iam" "keys" nil $c)) -}}
{{- fail "nobody may use this gateway yet: make a key with \"runnel key new\" and put it under config.keys, or name issuers, a webhook or iam keys there. With insecure=true everybody who can reach it may use it." -}}
{{- end -}}
{{- end -}}
