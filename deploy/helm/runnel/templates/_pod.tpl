{{- /* The pods: dict "root" $ "role" "all|gateway|worker" "component" NAME. */ -}}
{{- define "runnel.pod" -}}
{{- $v := .root.Values -}}
metadata:
  labels:
    {{- include "runnel.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with $v.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/config: {{ toYaml $v.config | sha256sum }}
    checksum/secret: {{ toYaml $v.secretEnv | sha256sum }}
    {{- with $v.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "runnel.serviceAccount" .root }}
  automountServiceAccountToken: false
  # A Service named runnel would set RUNNEL_PORT, which is no setting.
  enableServiceLinks: false
  # The drain, then what there is to store and whom to send away.
  terminationGracePeriodSeconds: {{ add $v.preStopSeconds $v.drainSeconds 30 }}
  {{- with $v.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: runnel
      image: {{ include "runnel.image" .root | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args: [serve]
      ports:
        - name: http
          containerPort: 8080
      env:
        - name: RUNNEL_CONFIG
          value: /etc/runnel/config/runnel.yaml
        - name: RUNNEL_LISTEN
          value: ":8080"
        - name: RUNNEL_DATA_DIR
          value: /var/lib/runnel
        - name: RUNNEL_DRAIN_TIMEOUT
          value: {{ $v.drainSeconds }}s
        {{- if $v.insecure }}
        - name: RUNNEL_INSECURE
          value: "true"
        {{- end }}
        {{- if eq $v.mode "cluster" }}
        - name: RUNNEL_NATS_URL
          value: {{ join "," $v.nats.urls | quote }}
        - name: RUNNEL_NATS_REPLICAS
          value: {{ $v.nats.replicas | quote }}
        {{- if $v.nats.tls.secret }}
        - name: RUNNEL_NATS_CA
          value: /etc/runnel/nats-tls/ca.crt
        {{- if $v.nats.tls.client }}
        - name: RUNNEL_NATS_CERT
          value: /etc/runnel/nats-tls/tls.crt
        - name: RUNNEL_NATS_KEY
          value: /etc/runnel/nats-tls/tls.key
        {{- end }}
        {{- end }}
        {{- if $v.nats.credentials.secret }}
        - name: RUNNEL_NATS_CREDS
          value: /etc/runnel/nats/{{ $v.nats.credentials.key }}
        {{- end }}
        {{- end }}
        - name: RUNNEL_ROLE
          value: {{ .role }}
        {{- range $name, $value := $v.env }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
      {{- if or $v.secretEnv $v.existingSecret }}
      envFrom:
        {{- if $v.secretEnv }}
        - secretRef:
            name: {{ include "runnel.name" .root }}
        {{- end }}
        {{- with $v.existingSecret }}
        - secretRef:
            name: {{ . }}
        {{- end }}
      {{- end }}
      # A log that is long takes its time to be read.
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 90
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      {{- if $v.preStopSeconds }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ $v.preStopSeconds }}
      {{- end }}
      resources:
        {{- toYaml (ternary ($v.workers.resources | default $v.resources) $v.resources (eq .role "worker")) | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: config
          mountPath: /etc/runnel/config
          readOnly: true
        - name: data
          mountPath: /var/lib/runnel
        - name: tmp
          mountPath: /tmp
        {{- if $v.nats.credentials.secret }}
        - name: nats
          mountPath: /etc/runnel/nats
          readOnly: true
        {{- end }}
        {{- if $v.nats.tls.secret }}
        - name: nats-tls
          mountPath: /etc/runnel/nats-tls
          readOnly: true
        {{- end }}
        {{- if $v.secretFiles }}
        - name: secrets
          mountPath: /etc/runnel/secrets
          readOnly: true
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "runnel.name" .root }}
    - name: tmp
      emptyDir: {}
    {{- if eq $v.mode "cluster" }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- if $v.nats.credentials.secret }}
    - name: nats
      secret:
        secretName: {{ $v.nats.credentials.secret }}
        defaultMode: 0440
    {{- end }}
    {{- if $v.nats.tls.secret }}
    - name: nats-tls
      secret:
        secretName: {{ $v.nats.tls.secret }}
        defaultMode: 0440
    {{- end }}
    {{- if $v.secretFiles }}
    - name: secrets
      secret:
        secretName: {{ $v.secretFiles }}
        defaultMode: 0440
    {{- end }}
  {{- if eq $v.mode "cluster" }}
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "runnel.selector" $.root | nindent 10 }}
          app.kubernetes.io/component: {{ $.component }}
    {{- end }}
  {{- end }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
