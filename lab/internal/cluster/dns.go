package cluster

import (
	"bytes"
	_ "embed"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"weftnet.io/weftnet/lab/internal/kube"
	"weftnet.io/weftnet/lab/internal/rootfs"
	"weftnet.io/weftnet/lab/internal/topology"
)

//go:embed coredns.yaml
var dnsTemplate string

// dnsObjects are CoreDNS and its service, with the addresses of this cluster.
func dnsObjects(t topology.Cluster) ([]*unstructured.Unstructured, error) {
	tmpl, err := template.New("coredns.yaml").Parse(dnsTemplate)
	if err != nil {
		return nil, err
	}
	policy := "SingleStack"
	if t.Family == topology.Dual {
		policy = "RequireDualStack"
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, map[string]any{"Image": rootfs.CoreDNS, "IPs": t.DNS(), "Policy": policy}); err != nil {
		return nil, err
	}
	return kube.Decode(b.Bytes())
}
