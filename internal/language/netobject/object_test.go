package netobject_test

import (
	"strings"
	"testing"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/table/station"
)

func TestTheNameOfAWireCountsWhereItMay(t *testing.T) {
	var o cncfv1.NetworkAttachmentDefinition
	o.Namespace, o.Name = "shop", "storage"
	o.Annotations = map[string]string{cncfv1.WireAnnotation: "ens192"}
	o.Spec.Config = `{"cniVersion": "1.0.0", "name": "storage", "type": "macvlan", "master": "ens192.4000"}`
	row, _ := netobject.Row(&o)
	if row.Number != station.NetworkOf("ens192") || row.Plain != station.NetworkOf("ens192, VLAN 4000") {
		t.Errorf("networks %d and, without its name, %d", row.Number, row.Plain)
	}
	for _, c := range []struct {
		networks network.Networks
		want     string
	}{
		{network.Networks{}, ""},
		{network.Networks{Isolation: true, Global: []string{"shop"}}, ""},
		{network.Networks{Isolation: true}, `metadata.annotations[weftnet.io/network]: "ens192" does not count`},
	} {
		w := gap.Default()
		w.Config.Networks = c.networks
		if text := gap.Text(netobject.Gaps(&o, w)); (c.want == "") != (text == "") || !strings.HasPrefix(text, c.want) {
			t.Errorf("%+v: %s", c.networks, text)
		}
	}
}
