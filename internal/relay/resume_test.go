package relay

import (
	"testing"

	observerpb "github.com/cilium/cilium/api/v1/observer"

	"weftnet.io/weftnet/internal/relay/resume"
)

// Programs of several CPUs write side by side: a flow may be older than one that was given before the agent went away.
func TestANodeThatComesBackGivesEachFlowOnceAndItIsToldSinceWhenFlowsMayBeMissing(t *testing.T) {
	c := newCluster(t, "a", "b")
	client := c.relay(2)
	stream, err := client.GetFlows(t.Context(), &observerpb.GetFlowsRequest{Follow: true, Since: at(0)})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(wants ...string) { expect(t, stream, wants...) }
	expect("connected a b")
	c.event("b", 970, 1)
	c.event("b", 1000, 2)
	expect("1", "2")
	c.agents["b"].stop()
	away, err := stream.Recv()
	if err != nil || text(away) != "error b" {
		t.Fatalf("have %v, %v", away, err)
	}
	if since, told := resume.MissingSince(away.GetNodeStatus()); !told || !since.Equal(at(1000).AsTime().Add(-resume.Disorder)) {
		t.Errorf("it says %q", away.GetNodeStatus().GetMessage())
	}
	expect("unavailable b")
	for number, ms := range []int{980, 1000, 990} {
		c.event("b", ms, uint16(3+number))
	}
	c.start("b")
	expect("connected b", "3", "4", "5")
	c.event("b", 960, 6)
	c.event("b", 2000, 7)
	expect("6", "7")
}
