package gap_test

import (
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/settings/network"
)

func TestAPolicyOfTheClusterSaysByWhichDefinitionsItDoesNotHold(t *testing.T) {
	w := gap.Default()
	w.Config.Networks = network.Networks{Policy: network.All, Global: []string{"infra"}}
	numbers := map[string]uint32{"shop/lan": 0, "infra/lan": 0, "kube-system/lan": 0, "shop/storage": 7}
	w.Network = func(name string) (uint32, bool) { n, there := numbers[name]; return n, there }
	for _, c := range []struct{ namespace, name, want string }{
		{"", "shop/lan", "shop/lan leads to the pod network"},
		{"", "infra/lan", ""},
		{"", "kube-system/lan", ""},
		{"", "shop/storage", ""},
		{"", "shop/none", "there is no NetworkAttachmentDefinition shop/none"},
		{"shop", "shop/lan", ""},
	} {
		gaps := gap.Of([]policy.Rule{{Origin: policy.Origin{Namespace: c.namespace}, Networks: []string{c.name}}}, w)
		if text := gap.Text(gaps); (c.want == "") != (len(gaps) == 0) || !strings.Contains(text, c.want) {
			t.Errorf("%q %s: %s; want %s", c.namespace, c.name, text, c.want)
		}
	}
}
