package network

import (
	"fmt"
	"strings"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/network"
)

// textOf is the configuration of a definition: its own, or that of the file of its name on this node; empty: there is none.
func textOf(r state.Reader, d network.Definition) string {
	if strings.TrimSpace(d.Config) != "" {
		return d.Config
	}
	f, _ := network.Files.One(r, network.FileKey(d.Name))
	return f.Config
}

// fileless says what keeps a definition without a configuration from being of use on this node; nil: its file is there.
func fileless(r state.Reader, d network.Definition) *refusal {
	if strings.TrimSpace(textOf(r, d)) != "" {
		return nil
	}
	lacks := fmt.Sprintf("%s/%s has no spec.config, and no file on this node has a configuration with the name %s", d.Namespace, d.Name, d.Name)
	var wrong []string
	for f := range network.Files.All(r) {
		if f.Wrong != "" {
			wrong = append(wrong, f.Path+": "+f.Wrong)
		}
	}
	if len(wrong) > 0 {
		lacks += fmt.Sprintf("; not read: %s", strings.Join(wrong, "; "))
	}
	return &refusal{lacks: lacks, advice: "put the file into /etc/cni/multus/net.d of each node, or its text into spec.config"}
}
