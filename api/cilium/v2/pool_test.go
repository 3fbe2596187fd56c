package v2_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

func TestBlocksAndTheOlderCIDRsBothCount(t *testing.T) {
	spec := v2.LoadBalancerIPPoolSpec{
		Blocks: []v2.IPBlock{{Start: "10.1.0.1", Stop: "10.1.0.9"}},
		CIDRs:  []v2.IPBlock{{CIDR: "10.0.0.0/24"}},
	}
	want := []v2.IPBlock{{Start: "10.1.0.1", Stop: "10.1.0.9"}, {CIDR: "10.0.0.0/24"}}
	if diff := cmp.Diff(want, spec.AllBlocks()); diff != "" {
		t.Error(diff)
	}
	if &spec.AllBlocks()[0] == &spec.Blocks[0] {
		t.Error("the result shares memory with the spec")
	}
}
