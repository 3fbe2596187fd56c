package inside

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/datapath/probe"
)

// What the design of docs/design/0020 rests on, asked of this kernel.

const sign = 0x5eed1234

// stand is a node with an uplink, and two workloads with a macvlan NIC on it each, in mode bridge.
type stand struct {
	host, a, b ns.NetNS
	uplink     int
	macA, macB net.HardwareAddr
	seen       *ebpf.Map // by where: number of frames, hash and mark of the last
}

// Where frames are looked at.
const (
	uplinkIn = iota
	uplinkOut
	intoB
)

func newNamespace(t *testing.T) ns.NetNS {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was, err := ns.GetCurrentNS()
	if err != nil {
		t.Fatal(err)
	}
	defer was.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	n, err := ns.GetNS(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err := errors.Join(err, was.Set()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func within(t *testing.T, n ns.NetNS, f func() error) {
	t.Helper()
	if err := n.Do(func(ns.NetNS) error { return f() }); err != nil {
		t.Fatal(err)
	}
}

func newStand(t *testing.T) *stand {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes devices and loads programs")
	}
	s := &stand{host: newNamespace(t), a: newNamespace(t), b: newNamespace(t)}
	var err error
	if s.seen, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 12, MaxEntries: 3}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.seen.Close() })
	within(t, s.host, func() error {
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "wire"}); err != nil {
			return err
		}
		for _, name := range []string{"wire", "uplink"} {
			l, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			s.uplink = l.Attrs().Index
			if err := netlink.LinkSetUp(l); err != nil {
				return err
			}
		}
		return errors.Join(s.add("ma", s.a, &s.macA), s.add("mb", s.b, &s.macB))
	})
	return s
}

// add makes a NIC on the uplink and moves it into a workload's namespace.
func (s *stand) add(name string, to ns.NetNS, mac *net.HardwareAddr) error {
	if err := netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: name, ParentIndex: s.uplink}, Mode: netlink.MACVLAN_MODE_BRIDGE}); err != nil {
		return err
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	*mac = l.Attrs().HardwareAddr
	if err := netlink.LinkSetNsFd(l, int(to.Fd())); err != nil {
		return err
	}
	return to.Do(func(ns.NetNS) error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetName(l, "net1"), netlink.LinkSetUp(l))
	})
}

func program(t *testing.T, code ...asm.Instruction) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: code})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// Offsets in struct __sk_buff.
const (
	skbMark     = 8
	skbProtocol = 16
	skbHash     = 68
)

// signing writes hash and mark of a frame.
func signing(t *testing.T) *ebpf.Program {
	return program(t,
		asm.Mov.Imm(asm.R2, 0x77), asm.StoreMem(asm.R1, skbMark, asm.R2, asm.Word),
		asm.LoadImm(asm.R2, sign, asm.DWord), asm.FnSetHash.Call(),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	)
}

// noting notes a test's frame, and lets it go on.
func (s *stand) noting(t *testing.T, where int32) *ebpf.Program {
	return program(t,
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, skbProtocol, asm.Word), asm.JNE.Imm(asm.R2, 0xb588, "out"),
		asm.StoreImm(asm.R10, -4, int64(where), asm.Word),
		asm.LoadMapPtr(asm.R1, s.seen.FD()), asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -4), asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.LoadMem(asm.R1, asm.R6, skbHash, asm.Word), asm.StoreMem(asm.R0, 4, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, skbMark, asm.Word), asm.StoreMem(asm.R0, 8, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R1, 1), asm.StoreMem(asm.R0, 0, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R0, -1).WithSymbol("out"), asm.Return(),
	)
}

func put(p *ebpf.Program, name string, device int, leaves bool) error {
	if leaves {
		return attachFilter("from_"+name, p, device)
	}
	return attachFilter("to_"+name, p, device)
}

func net1() (int, error) {
	l, err := netlink.LinkByName("net1")
	if err != nil {
		return 0, err
	}
	return l.Attrs().Index, nil
}

// send sends a frame out of net1 of a namespace.
func send(t *testing.T, from ns.NetNS, to, as net.HardwareAddr) {
	t.Helper()
	within(t, from, func() error {
		device, err := net1()
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		frame := binary.BigEndian.AppendUint16(append(append([]byte{}, to...), as...), 0x88b5)
		return unix.Sendto(fd, append(frame, make([]byte, 50)...), 0, &unix.SockaddrLinklayer{Ifindex: device, Protocol: 0xb588, Halen: 6})
	})
}

// await waits until a frame has been seen somewhere.
func (s *stand) await(t *testing.T, where uint32) (hash, mark uint32) {
	t.Helper()
	for {
		var v [3]uint32
		if err := s.seen.Lookup(where, &v); err != nil {
			t.Fatal(err)
		}
		if v[0] != 0 {
			if err := s.seen.Put(where, [3]uint32{}); err != nil {
				t.Fatal(err)
			}
			return v[1], v[2]
		}
		if t.Context().Err() != nil {
			t.Fatal("no frame came")
		}
		time.Sleep(time.Millisecond) // the kernel tells of no change of a map
	}
}

// A frame for one sibling passes the uplink as received; one for the wire as sent; one for many as sent, and reaches siblings straight. The hash
// stays with each of them. The mark does not go with what is received in another namespace.
func TestTheHashStaysWithAFrameUntilItsReceiver(t *testing.T) {
	s := newStand(t)
	signer := signing(t)
	within(t, s.a, func() error {
		device, err := net1()
		if err != nil {
			return err
		}
		return put(signer, "nic", device, true)
	})
	into := s.noting(t, intoB)
	within(t, s.b, func() error {
		device, err := net1()
		if err != nil {
			return err
		}
		return put(into, "nic", device, false)
	})
	in, out := s.noting(t, uplinkIn), s.noting(t, uplinkOut)
	within(t, s.host, func() error {
		return errors.Join(put(in, "uplink", s.uplink, false), put(out, "uplink", s.uplink, true))
	})

	for _, c := range []struct {
		what  string
		to    net.HardwareAddr
		where map[uint32]uint32 // and with which mark
	}{
		{"for one sibling", s.macB, map[uint32]uint32{uplinkIn: 0, intoB: 0}},
		{"for the wire", net.HardwareAddr{2, 9, 9, 9, 9, 9}, map[uint32]uint32{uplinkOut: 0x77}},
		{"for many", net.HardwareAddr{255, 255, 255, 255, 255, 255}, map[uint32]uint32{uplinkOut: 0x77, intoB: 0}},
	} {
		send(t, s.a, c.to, s.macA)
		for where, mark := range c.where {
			if hash, have := s.await(t, where); hash != sign || have != mark {
				t.Errorf("%s, seen at %d: hash %#x and mark %#x, want %#x and %#x", c.what, where, hash, have, sign, mark)
			}
		}
	}
}

// A workload may give its NIC any index that it likes: it moves it into a namespace of its own.
func TestAnIndexIsNoName(t *testing.T) {
	s := newStand(t)
	child := newNamespace(t)
	within(t, s.a, func() error {
		l, err := netlink.LinkByName("net1")
		if err != nil {
			return err
		}
		return moveAs(l.Attrs().Index, int(child.Fd()), 4711)
	})
	within(t, child, func() error {
		l, err := netlink.LinkByIndex(4711)
		if err == nil && l.Attrs().Name != "net1" {
			err = fmt.Errorf("device 4711 is %s", l.Attrs().Name)
		}
		return err
	})
}

// moveAs moves a device with IFLA_NEW_IFINDEX.
func moveAs(index, namespace, as int) error {
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Index = int32(index)
	r.AddData(head)
	r.AddData(nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(namespace))))
	r.AddData(nl.NewRtAttr(unix.IFLA_NEW_IFINDEX, nl.Uint32Attr(uint32(as))))
	_, err := r.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

func bpfDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/sys/fs/bpf", "weft-test-")
	if err != nil {
		t.Fatalf("%v: mount a BPF file system: mount -t bpf bpf /sys/fs/bpf", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// What a workload makes beside its NIC is on the node's uplink, and has no program.
func TestAWorkloadMakesSiblingsOnTheUplink(t *testing.T) {
	s := newStand(t)
	within(t, s.a, func() error {
		own, err := netlink.LinkByName("net1")
		if err != nil {
			return err
		}
		if err := netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "rogue", ParentIndex: own.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}); err != nil {
			return err
		}
		rogue, err := netlink.LinkByName("rogue")
		if err == nil && rogue.Attrs().ParentIndex != s.uplink {
			t.Errorf("it lies on device %d, and the uplink is %d", rogue.Attrs().ParentIndex, s.uplink)
		}
		return err
	})
}

// By a tcx link programs stay where they are, whatever is done to qdiscs and filters; by a filter they do not.
func TestALinkStaysWhereAFilterGoes(t *testing.T) {
	for _, byTCX := range []bool{true, false} {
		if byTCX && !probe.TCX() {
			t.Log("this kernel has no tcx (Linux 6.6 has): the programs are filters")
			continue
		}
		s := newStand(t)
		dir := bpfDirectory(t)
		programs := map[string]*ebpf.Program{"from_nic": signing(t), "to_nic": program(t, asm.Mov.Imm(asm.R0, -1), asm.Return())}
		out := s.noting(t, uplinkOut)
		within(t, s.host, func() error { return put(out, "uplink", s.uplink, true) })
		path := fmt.Sprintf("/proc/self/fd/%d", s.a.Fd())
		if err := attach(dir, Place{Number: 1, Netns: path, Interface: "net1"}, programs, byTCX); err != nil {
			t.Fatal(err)
		}
		within(t, s.a, func() error {
			device, err := net1()
			if err != nil {
				return err
			}
			err = netlink.QdiscDel(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: device, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}})
			if byTCX && errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
				return nil // there is none
			}
			return err
		})
		send(t, s.a, net.HardwareAddr{2, 9, 9, 9, 9, 9}, s.macA)
		if hash, _ := s.await(t, uplinkOut); (hash == sign) != byTCX {
			t.Errorf("by tcx: %v; after the qdisc is deleted the frame has hash %#x", byTCX, hash)
		}
		if err := detach(dir, 1); err != nil {
			t.Error(err)
		}
	}
}
