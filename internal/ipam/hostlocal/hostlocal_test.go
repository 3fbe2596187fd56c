package hostlocal

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/allocator"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/policy/gap"
)

// TestWhatAConfigurationSays reads as the rules do.
func TestWhatAConfigurationSays(t *testing.T) {
	for _, test := range []struct{ name, ipam, want string }{
		{"the older form", `{"subnet": "10.1.2.0/24", "gateway": "10.1.2.254"}`, "10.1.2.1-10.1.2.254 via 10.1.2.254 in /var/lib/cni/networks"},
		{"sets", `{"ranges": [[{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.20"}, {"subnet": "10.1.3.0/24"}], [{"subnet": "fd00::/120"}]], "dataDir": "/run/nets"}`, "10.1.2.9-10.1.2.20 via 10.1.2.1 or 10.1.3.1-10.1.3.254 via 10.1.3.1, fd00::1-fd00::ff via fd00::1 in /run/nets"},
		{"nothing", `{}`, `ipam.ranges: there is no range to give addresses from, such as [[{"subnet": "10.1.2.0/24"}]]`},
		{"no subnet", `{"ranges": [[{"subnet": "10.1.2.5/24"}]]}`, "ipam.ranges[0][0].subnet: 10.1.2.5/24 is an address in a subnet; the subnet is 10.1.2.0/24"},
		{"an end outside", `{"subnet": "10.1.2.0/24", "rangeEnd": "10.1.3.1"}`, "ipam.rangeEnd: 10.1.3.1 is not in 10.1.2.0/24"},
		{"ends that cross", `{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.8"}`, "ipam.rangeEnd: 10.1.2.8 is before 10.1.2.9, at which the range begins"},
		{"two families", `{"ranges": [[{"subnet": "10.1.2.0/24"}, {"subnet": "fd00::/64"}]]}`, "ipam.ranges[0][1].subnet: fd00::/64 is not of the family of 10.1.2.0/24, which is in the same set: put it into a set of its own"},
		{"one range twice", `{"subnet": "10.1.2.0/24", "ranges": [[{"subnet": "10.1.0.0/16"}]]}`, "ipam.ranges[0]: it has addresses of ipam.subnet too, and a NIC gets one of each: take other ranges"},
		{"an empty set", `{"ranges": [[]]}`, "ipam.ranges[0]: the set is empty, so a NIC could not get its address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, gaps := Parse([]byte(`{"ipam": ` + test.ipam + `}`))
			have := gap.Text(gaps)
			if len(gaps) == 0 {
				have = text(c)
			}
			if have != test.want {
				t.Errorf("have %s\nwant %s", have, test.want)
			}
		})
	}
}

func text(c Config) string {
	var sets []string
	for _, set := range c.Sets {
		var ranges []string
		for _, r := range set {
			ranges = append(ranges, fmt.Sprintf("%s-%s via %s", r.First, r.Last, r.Gateway))
		}
		sets = append(sets, strings.Join(ranges, " or "))
	}
	return strings.Join(sets, ", ") + " in " + c.DataDir
}

// TestThePluginAgrees has the plugin itself read configurations.
func TestThePluginAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := func(what string) string {
			return fmt.Sprintf("10.0.%d.%d", rapid.IntRange(0, 1).Draw(t, what), rapid.SampledFrom([]int{0, 1, 5, 9, 255}).Draw(t, what))
		}
		var sets [][]map[string]string
		for range rapid.IntRange(0, 2).Draw(t, "sets") {
			set := []map[string]string{}
			for range rapid.IntRange(0, 2).Draw(t, "ranges") {
				one := map[string]string{"subnet": fmt.Sprintf("%s/%d", a("subnet"), rapid.SampledFrom([]int{23, 24, 30, 31}).Draw(t, "bits"))}
				if rapid.Bool().Draw(t, "v6") {
					one["subnet"] = "fd00::/126"
				}
				for _, key := range []string{"rangeStart", "rangeEnd", "gateway"} {
					if rapid.IntRange(0, 3).Draw(t, key) == 0 {
						one[key] = a(key)
					}
				}
				set = append(set, one)
			}
			sets = append(sets, set)
		}
		config, _ := json.Marshal(map[string]any{"cniVersion": "1.0.0", "ipam": map[string]any{"ranges": sets}})
		conf, _, err := allocator.LoadIPAMConfig(config, "")
		c, gaps := Parse(config)
		if (err == nil) != (len(address.Invalid(gaps)) == 0) {
			t.Fatalf("%s: the plugin says %v, and here it is %v", config, err, gaps)
		}
		for i := range c.Sets {
			for j, r := range c.Sets[i] {
				if err == nil && (conf.Ranges[i][j].RangeStart.String() != r.First.String() || conf.Ranges[i][j].RangeEnd.String() != r.Last.String()) {
					t.Fatalf("%s: the plugin has %s", config, conf.Ranges[i][j].String())
				}
			}
		}
	})
}
