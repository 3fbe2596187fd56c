package link_test

import (
	"log/slog"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/table"
)

func TestAllProgramsOfAnEarlierAgentGoAtOnceIfTheirMapsHaveAnotherShape(t *testing.T) {
	needsRoot(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "near"}, PeerName: "far"}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/sys/fs/bpf", "weft-programs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, step := range []struct {
		name     string
		size     uint32
		attached int
		own      bool // before any table asks for it
	}{
		{"the first agent", 4096, 0, false},
		{"one with the same maps", 4096, 4, false},
		{"one with another size", 8192, 4, true},
	} {
		programs := link.NewPrograms(link.ProgramOptions{
			Dir: dir, Ports: func() (low, high uint16) { return 32768, 60999 },
			Sizes: func(settings.MapSizes) (map[string]uint32, error) {
				return map[string]uint32{"connections": step.size}, nil
			},
			Tell: func([]table.MapSize) error { return nil }, Log: slog.New(slog.DiscardHandler),
		})
		if err := programs.Set(t.Context(), []table.Programs{{}}); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		d := <-programs.Opened()
		list, err := d.Attachments()
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for _, a := range list {
			if a.Current != step.own {
				t.Errorf("%s: %s on device %d is its own: %v", step.name, a.Program, a.Ifindex, a.Current)
			}
		}
		if len(list) != step.attached {
			t.Errorf("%s finds %d programs attached, want %d", step.name, len(list), step.attached)
		}
		attachAll(t, d)
		d.Close()
	}
}

// attachAll puts the programs of a pod on one device, and those of a node's on another.
func attachAll(t *testing.T, d *datapath.Datapath) {
	t.Helper()
	for device, programs := range map[string][]string{"near": {"from_pod", "to_pod"}, "far": {"from_net", "to_net"}} {
		l, err := netlink.LinkByName(device)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			if err := d.Attach(p, l.Attrs().Index); err != nil {
				t.Fatal(err)
			}
		}
	}
}
