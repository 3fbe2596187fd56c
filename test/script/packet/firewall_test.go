package packet

import (
	"math"
	"net/netip"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/sink/bpfmap/exempt"
	"weftnet.io/weftnet/internal/table"
)

// firewall gives the node itself a policy set, which allows all until entries of it say more.
func firewall(b *bench, ts *testscript.TestScript, _ []string) {
	none := mac(0)
	b.devices["node"] = table.NIC{Identity: identity.Host, Incarnation: math.MaxUint32, MAC: none, HostMAC: none}
	for _, d := range []policy.Direction{policy.Ingress, policy.Egress} {
		b.entries["node"] = append(b.entries["node"], policy.Entry{Direction: d, Verdict: policy.Allow, Match: policy.MatchAll})
	}
	ts.Check(b.enforce("node"))
}

// openBefore remembers a connection that is open when the firewall comes.
func openBefore(b *bench, ts *testscript.TestScript, args []string) {
	protocol := map[string]uint8{"tcp": policy.TCP, "udp": policy.UDP}[args[0]]
	from, err := netip.ParseAddrPort(args[1])
	ts.Check(err)
	to, err := netip.ParseAddrPort(args[2])
	ts.Check(err)
	b.before = append(b.before, exempt.Connection{Protocol: protocol, Source: from, Destination: to})
}

func (b *bench) exempt() error { return exempt.Open(b.dp, b.before) }
