package xdp

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// pair gives a veth pair in a network namespace of its own, which the thread of the test is in, and a place for pins.
func pair(t *testing.T) (ifindex, other int, at At) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: attaches programs to devices")
	}
	runtime.LockOSThread() // and never given back: the thread ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "one"}, PeerName: "two"}); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"one", "two"} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		*[]*int{&ifindex, &other}[i] = l.Attrs().Index
	}
	dir, err := os.MkdirTemp("/sys/fs/bpf", "weft-xdp-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return ifindex, other, At{Dir: dir}
}

func pass(t *testing.T) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "other", Type: ebpf.XDP, License: "Dual BSD/GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// occupy puts a program of others on a device.
func occupy(t *testing.T, ifindex int) link.Link {
	t.Helper()
	l, err := link.AttachXDP(link.XDPOptions{Program: pass(t), Interface: ifindex, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// isUnfit holds that a device is refused for a reason that has this text.
func isUnfit(t *testing.T, err error, text string) {
	t.Helper()
	var unfit *UnfitError
	if !errors.As(err, &unfit) || !strings.Contains(unfit.Why, text) {
		t.Fatalf("%v, want a device that is unfit: %s", err, text)
	}
}

func only(t *testing.T, at At, p *ebpf.Program) Attachment {
	t.Helper()
	list, err := at.List(p)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v: want one", list, err)
	}
	return list[0]
}

func TestAPairWhoseOtherEndTakesNoFramesHasNoProgram(t *testing.T) {
	one, two, at := pair(t)
	p := pass(t)
	isUnfit(t, at.Attach(p, one, false), "the other end of the pair takes no frames")
	there := occupy(t, two)
	if err := at.Attach(p, one, false); err != nil {
		t.Fatal(err)
	}
	if a := only(t, at, p); a.Ifindex != one || !a.Current || a.Generic || a.Unfit != nil {
		t.Errorf("%+v", a)
	}
	there.Close() // the other end loses it
	if a := only(t, at, p); a.Unfit == nil {
		t.Errorf("%+v is as if the other end still took frames", a)
	}
	isUnfit(t, at.Attach(p, one, false), "the other end of the pair takes no frames")
	if list, err := at.List(p); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v: it would lose frames", list, err)
	}
}

func TestAProgramOfOthersIsLeftAlone(t *testing.T) {
	one, two, at := pair(t)
	occupy(t, two)
	foreign := occupy(t, one)
	p := pass(t)
	isUnfit(t, at.Attach(p, one, false), "another program of XDP is on it (other, id ")
	isUnfit(t, at.Attach(p, one, true), "another program of XDP is on it (other, id ")
	if err := foreign.Close(); err != nil {
		t.Fatal(err)
	}
	if err := at.Attach(p, one, false); err != nil {
		t.Error(err)
	}
}

func TestAProgramTakesThePlaceOfTheFormerOneInEitherMode(t *testing.T) {
	one, two, at := pair(t)
	occupy(t, two)
	former, next := pass(t), pass(t)
	for _, generic := range []bool{false, true, false} {
		for _, p := range []*ebpf.Program{former, next} {
			if err := at.Attach(p, one, generic); err != nil {
				t.Fatal(err)
			}
			if a := only(t, at, p); !a.Current || a.Generic != generic {
				t.Errorf("generic %v: %+v", generic, a)
			}
		}
	}
	if err := at.Replace(former); err != nil || !only(t, at, former).Current {
		t.Errorf("%+v, %v", only(t, at, former), err)
	}
	if n, err := at.DetachAll(); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if list, err := at.List(nil); len(list) != 0 || err != nil {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestADeviceThatIsGoneHasLeftAPinAlone(t *testing.T) {
	one, two, at := pair(t)
	occupy(t, two)
	p := pass(t)
	if err := at.Attach(p, one, false); err != nil {
		t.Fatal(err)
	}
	l, err := netlink.LinkByIndex(one)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil {
		t.Fatal(err)
	}
	if a := only(t, at, p); a.Ifindex != one || a.ID != 0 {
		t.Errorf("%+v", a)
	}
	if err := at.Replace(p); err != nil {
		t.Error(err)
	}
	if err := errors.Join(at.Detach(one), at.Detach(one)); err != nil {
		t.Error(err)
	}
}

// The map of pairs has room for so many, and what it has no row for would wait at the other end of its pair.
func TestAPairForWhichThereIsNoRoomHasNoProgram(t *testing.T) {
	one, two, at := pair(t)
	occupy(t, two)
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "three"}, PeerName: "four"}); err != nil {
		t.Fatal(err)
	}
	var others [2]int
	for i, name := range []string{"three", "four"} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		others[i] = l.Attrs().Index
	}
	occupy(t, others[1])
	var err error
	if at.Pairs, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { at.Pairs.Close() })
	p := pass(t)
	if err := errors.Join(at.Attach(p, one, false), at.Attach(p, one, false)); err != nil {
		t.Fatal(err)
	}
	isUnfit(t, at.Attach(p, others[0], false), "as many veth pairs have the program as there may be: 1")
	if err := at.Detach(one); err != nil {
		t.Fatal(err)
	}
	if err := at.Attach(p, others[0], false); err != nil {
		t.Errorf("the first one has it no more: %v", err)
	}
}
