package agent

import (
	"strings"
	"testing"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/settings"
)

func TestStatusSaysWhatTheKernelLacksOfWhatIsAskedFor(t *testing.T) {
	veth, netkit, classic := settings.Config{Datapath: settings.Datapath{PodDevice: settings.Veth}}, settings.Config{Datapath: settings.Datapath{PodDevice: settings.Netkit}}, settings.Config{Datapath: settings.Datapath{PodDevice: settings.Veth, Classic: true}}
	for _, c := range []struct {
		name             string
		config           settings.Config
		haveTCX, haveNet bool
		health           agentv1.Health
		message          string // its beginning
	}{
		{"all there is", veth, true, true, agentv1.HealthOK, ""},
		{"6.6, netkit not asked for", veth, true, false, agentv1.HealthOK, ""},
		{"6.1", veth, false, false, agentv1.HealthOK, "no tcx (Linux 6.6 and later have)"},
		{"tcx not wanted", classic, true, true, agentv1.HealthOK, "enable-tcx=false: programs are attached by cls_bpf filters"},
		{"neither there nor wanted", classic, false, false, agentv1.HealthOK, "no tcx"},
		{"6.8", netkit, true, true, agentv1.HealthOK, ""},
		{"6.6, netkit asked for", netkit, true, false, agentv1.HealthFailed, "datapath-mode=netkit, and the kernel has no netkit (Linux 6.8 and later have"},
	} {
		got := kernel(c.config, c.haveTCX, c.haveNet)
		if got.Name != "kernel" || got.Health != c.health || !strings.HasPrefix(got.Message, c.message) || (c.message == "") != (got.Message == "") {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
