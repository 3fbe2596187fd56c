package attach_test

import (
	"net"
	"testing"

	"pgregory.net/rapid"
	"weftnet.io/weftnet/internal/attach"
)

func TestNamesAndMACsOfAnAttachmentNeverChange(t *testing.T) {
	for got, want := range map[string]string{
		attach.HostName("c0ffee", "eth0", 0): "weft6ad2516ced",
		attach.HostName("c0ffee", "eth0", 1): "weftd43ec8da8c",
		attach.MAC("c0ffee", "eth0"):         "76:cb:c0:82:63:42",
		attach.HostMAC("c0ffee", "eth0"):     "f6:e0:c5:70:39:1c",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestNamesFitLinuxAndMACsAreLocalUnicast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id, ifname := rapid.String().Draw(t, "id"), rapid.String().Draw(t, "ifname")
		if name := attach.HostName(id, ifname, rapid.IntRange(0, 3).Draw(t, "salt")); len(name) > 15 || !attach.IsHostName(name) {
			t.Fatalf("host name %q", name)
		}
		for _, text := range []string{attach.MAC(id, ifname), attach.HostMAC(id, ifname)} {
			if m, err := net.ParseMAC(text); err != nil || m[0]&3 != 2 {
				t.Fatalf("MAC %s: %v", text, err)
			}
		}
		if attach.MAC(id, ifname) == attach.HostMAC(id, ifname) {
			t.Fatal("both sides have one MAC address")
		}
	})
}

func TestOnlyHostNamesLookLikeHostNames(t *testing.T) {
	for _, name := range []string{"", "weft", "weft_vxlan", "weft6ad2516ce", "weft6ad2516ce11", "weft53B7be33a1", "eth0", "wef", "xeft53b7be33a1"} {
		if attach.IsHostName(name) {
			t.Errorf("%q passes for a host name", name)
		}
	}
}

func TestMTULeavesRoomForTheTunnel(t *testing.T) {
	for _, c := range []struct {
		device            int
		tunnel, underlay6 bool
		want              int
	}{
		{1500, true, false, 1450}, {1500, true, true, 1430}, {1500, false, true, 1500}, {9000, true, false, 8950}, {0, true, false, 0},
	} {
		if got := attach.MTU(c.device, c.tunnel, c.underlay6); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}
