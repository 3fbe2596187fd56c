//go:build e2e

package e2e

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// outsideAddresses are the addresses of the host outside, one per family of this cluster.
func outsideAddresses(t *testing.T) []netip.Addr {
	t.Helper()
	var out []netip.Addr
	for _, a := range nodeAddresses(t, "node1") {
		server := netip.MustParseAddr("10.80.0.200")
		if a.Is6() {
			server = netip.MustParseAddr("fd00:80::200")
		}
		out = append(out, server)
	}
	return out
}

func nodeAddresses(t *testing.T, node string) []netip.Addr {
	t.Helper()
	var out []netip.Addr
	for f := range strings.FieldsSeq(kubectl(t, "", "get", "node", node, "-o", `jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`)) {
		a, err := netip.ParseAddr(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

func TestTheOutsideSeesAPodUnderItsNodesAddress(t *testing.T) {
	const name = "masquerade-tcp"
	pod(t, name)
	outside(t, "8000")
	want := nodeAddresses(t, kubectl(t, "", "get", "pod", name, "-o", "jsonpath={.spec.nodeName}"))
	for _, server := range outsideAddresses(t) {
		target := netip.AddrPortFrom(server, 8000).String()
		// curl asks again while the server is not listening yet
		got := run(t, name, "curl", "-sS", "-m", "5", "--retry", "5", "--retry-delay", "1", "--retry-connrefused", "http://"+target+"/clientip")
		client, err := netip.ParseAddrPort(got)
		if err != nil {
			t.Fatalf("%s answered %q: %v", target, got, err)
		}
		if !slices.Contains(want, client.Addr().Unmap()) {
			t.Errorf("%s saw %s, want one of %v", target, client, want)
		}
	}
}

func TestAPingToTheOutsideIsAnswered(t *testing.T) {
	const name = "masquerade-icmp"
	pod(t, name)
	for _, server := range outsideAddresses(t) {
		if out := run(t, name, "ping", "-c", "3", "-W", "5", server.String()); !strings.Contains(out, "3 packets received") {
			t.Errorf("ping %s:\n%s", server, out)
		}
	}
}

func TestAnErrorFromOutsideReachesThePod(t *testing.T) {
	const name = "masquerade-error"
	pod(t, name)
	for _, server := range outsideAddresses(t) {
		// No program listens on this port. The refusal is an ICMP error, which must find its way back through the translation; dig tells
		// it from silence.
		out := run(t, name, "sh", "-c", "dig +time=5 +tries=1 -p 4999 @"+server.String()+" example.org || true")
		if !strings.Contains(out, "connection refused") {
			t.Errorf("udp to %s port 4999: the pod did not learn that the port is closed:\n%s", server, out)
		}
	}
}
