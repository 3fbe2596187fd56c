{{/* The namespace. Users' tools and our own roles know these objects in
kube-system, so any other is refused. */}}
{{- define "weftnet.namespace" -}}
{{- if ne .Release.Namespace "kube-system" -}}
{{- fail (printf "weftnet must be installed into namespace kube-system, not %q: add --namespace kube-system" .Release.Namespace) -}}
{{- end -}}
kube-system
{{- end -}}

{{- define "weftnet.labels" -}}
app.kubernetes.io/part-of: weftnet
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* An image: without a tag or digest it is that of the chart's version. */}}
{{- define "weftnet.image" -}}
{{- if regexMatch ":[^/]+$" .name -}}
{{ .name }}
{{- else -}}
{{ .name }}:{{ .version }}
{{- end -}}
{{- end -}}

{{/* The data of cilium-config: strings as they are, null left out. */}}
{{- define "weftnet.config" -}}
{{- range $key, $value := .Values.config }}
{{- if kindIs "float64" $value }}
{{ $key }}: {{ $value | int64 | toString | quote }}
{{- else if not (kindIs "invalid" $value) }}
{{ $key }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where the API server is, when the service address is not to be used. */}}
{{- define "weftnet.apiserverEnv" -}}
{{- with .Values.k8sServiceHost }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ . | quote }}
{{- end }}
{{- with .Values.k8sServicePort }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ . | toString | quote }}
{{- end }}
{{- end -}}

{{/* Where the API servers are, when there are several addresses. */}}
{{- define "weftnet.apiserverFlag" -}}
{{- with .Values.k8s.apiServerURLs -}}
- {{ printf "--k8s-api-server-urls=%s" . | quote }}
{{- end }}
{{- end -}}

{{/* What serves flows over the network: those keys that the configuration does not have. */}}
{{- define "weftnet.hubbleFlags" -}}
{{- $config := .Values.config }}
{{- range $flag := list "hubble-listen-address=:4244" "hubble-tls-cert-file=/var/lib/cilium/tls/hubble/server.crt" "hubble-tls-key-file=/var/lib/cilium/tls/hubble/server.key" "hubble-tls-client-ca-files=/var/lib/cilium/tls/hubble/client-ca.crt" }}
{{- if not (hasKey $config (first (splitList "=" $flag))) }}
- --{{ $flag }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The port at which agents serve flows over the network. */}}
{{- define "weftnet.hubblePort" -}}
{{- get .Values.config "hubble-listen-address" | default ":4244" | splitList ":" | last -}}
{{- end -}}

{{/* Not empty: agents serve metrics of flows. */}}
{{- define "weftnet.flowMetrics" -}}
{{- get .Values.config "hubble-metrics" -}}
{{- end -}}

{{/* The port at which agents serve metrics of flows. */}}
{{- define "weftnet.flowMetricsPort" -}}
{{- get .Values.config "hubble-metrics-server" | default ":9965" | splitList ":" | last -}}
{{- end -}}
