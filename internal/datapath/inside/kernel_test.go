package inside

import (
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	secret = 0x5eed1234
	fields = 4 // seen, hash, mark, tc_index
)

// world is a host with an uplink, and two workloads with a macvlan NIC on it each, in bridge mode.
type world struct {
	host, a, b ns.NetNS
	uplink     int
	macA, macB net.HardwareAddr
	seen       *ebpf.Map
}

func newNS(t *testing.T) ns.NetNS {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was, err := ns.GetCurrentNS()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	n, err := ns.GetNS(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		t.Fatal(err)
	}
	if err := was.Set(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func in(t *testing.T, n ns.NetNS, f func() error) {
	t.Helper()
	if err := n.Do(func(ns.NetNS) error { return f() }); err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world {
	w := &world{host: newNS(t), a: newNS(t), b: newNS(t)}
	var err error
	w.seen, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 8})
	if err != nil {
		t.Fatal(err)
	}
	in(t, w.host, func() error {
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "wire"}); err != nil {
			return err
		}
		for _, n := range []string{"uplink", "wire"} {
			l, err := netlink.LinkByName(n)
			if err != nil {
				return err
			}
			if n == "uplink" {
				w.uplink = l.Attrs().Index
			}
			if err := netlink.LinkSetUp(l); err != nil {
				return err
			}
		}
		for _, p := range []struct {
			n    ns.NetNS
			mac  *net.HardwareAddr
			name string
		}{{w.a, &w.macA, "ma"}, {w.b, &w.macB, "mb"}} {
			if err := netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: p.name, ParentIndex: w.uplink}, Mode: netlink.MACVLAN_MODE_BRIDGE}); err != nil {
				return err
			}
			l, err := netlink.LinkByName(p.name)
			if err != nil {
				return err
			}
			if err := netlink.LinkSetNsFd(l, int(p.n.Fd())); err != nil {
				return err
			}
			if err := p.n.Do(func(ns.NetNS) error {
				l, err := netlink.LinkByName(p.name)
				if err != nil {
					return err
				}
				if err := netlink.LinkSetName(l, "net1"); err != nil {
					return err
				}
				*p.mac = l.Attrs().HardwareAddr
				return netlink.LinkSetUp(l)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

// stamp writes what may tell the host who sent a frame.
func stamp(t *testing.T) *ebpf.Program {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.Mov.Imm(asm.R2, 0x77),
		asm.StoreMem(asm.R6, 8, asm.R2, asm.Word), // mark
		asm.Mov.Imm(asm.R2, 0x5746),
		asm.StoreMem(asm.R6, 44, asm.R2, asm.Word), // tc_index
		asm.LoadImm(asm.R2, secret, asm.DWord),
		asm.FnSetHash.Call(),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return p
}

// witness notes the last frame of EtherType 0x88b5.
func (w *world) witness(t *testing.T, at int32) *ebpf.Program {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, 16, asm.Word), // protocol
		asm.JNE.Imm(asm.R2, 0xb588, "out"),
		asm.StoreImm(asm.R10, -4, int64(at), asm.Word),
		asm.LoadMapPtr(asm.R1, w.seen.FD()),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Imm(asm.R1, 1), asm.StoreMem(asm.R0, 0, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, 68, asm.Word), asm.StoreMem(asm.R0, 4, asm.R1, asm.Word), // hash
		asm.LoadMem(asm.R1, asm.R6, 8, asm.Word), asm.StoreMem(asm.R0, 8, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, 44, asm.Word), asm.StoreMem(asm.R0, 12, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R0, -1).WithSymbol("out"), asm.Return(),
	}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return p
}

func put(p *ebpf.Program, ifindex int, parent uint32, prio uint16) error {
	_ = netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}})
	return netlink.FilterAdd(&netlink.BpfFilter{FilterAttrs: netlink.FilterAttrs{LinkIndex: ifindex, Parent: parent, Handle: 1, Protocol: unix.ETH_P_ALL, Priority: prio}, Fd: p.FD(), Name: "x", DirectAction: true})
}

func send(dst net.HardwareAddr, src net.HardwareAddr) error {
	l, err := netlink.LinkByName("net1")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	frame := append(append(append([]byte{}, dst...), src...), 0x88, 0xb5)
	frame = append(frame, make([]byte, 50)...)
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index, Protocol: 0xb588, Halen: 6})
}

func TestScratch(t *testing.T) {
	w := newWorld(t)
	in(t, w.a, func() error {
		l, _ := netlink.LinkByName("net1")
		return put(stamp(t), l.Attrs().Index, netlink.HANDLE_MIN_EGRESS, 1)
	})
	in(t, w.b, func() error {
		l, _ := netlink.LinkByName("net1")
		return put(w.witness(t, 2), l.Attrs().Index, netlink.HANDLE_MIN_INGRESS, 1)
	})
	in(t, w.host, func() error {
		if err := put(w.witness(t, 0), w.uplink, netlink.HANDLE_MIN_INGRESS, 1); err != nil {
			return err
		}
		return put(w.witness(t, 1), w.uplink, netlink.HANDLE_MIN_EGRESS, 1)
	})
	show := func(what string) {
		time.Sleep(300 * time.Millisecond)
		for i, n := range []string{"uplink ingress", "uplink egress", "b ingress"} {
			var v [4]uint32
			_ = w.seen.Lookup(uint32(i), &v)
			fmt.Printf("%-22s %-15s seen=%d hash=%#x mark=%#x tc_index=%#x\n", what, n, v[0], v[1], v[2], v[3])
			_ = w.seen.Put(uint32(i), [4]uint32{})
		}
	}
	in(t, w.a, func() error { return send(w.macB, w.macA) })
	show("unicast to sibling")
	in(t, w.a, func() error { return send(net.HardwareAddr{2, 9, 9, 9, 9, 9}, w.macA) })
	show("unicast to wire")
	in(t, w.a, func() error { return send(net.HardwareAddr{255, 255, 255, 255, 255, 255}, w.macA) })
	show("broadcast")
	// a rogue of a
	in(t, w.a, func() error {
		l, _ := netlink.LinkByName("net1")
		fmt.Println("net1 in a: index", l.Attrs().Index, "parent", l.Attrs().ParentIndex)
		if err := netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "rogue", ParentIndex: l.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}); err != nil {
			fmt.Println("rogue:", err)
			return nil
		}
		r, err := netlink.LinkByName("rogue")
		if err != nil {
			return err
		}
		fmt.Println("rogue: index", r.Attrs().Index, "parent", r.Attrs().ParentIndex)
		return netlink.LinkSetUp(r)
	})
}
