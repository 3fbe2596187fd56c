package datapath

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/datapath/filter"
	"weftnet.io/weftnet/internal/datapath/probe"
	"weftnet.io/weftnet/internal/kerneltest"
)

// stand is a pair of devices in a network namespace of its own, and two programs that count what they see and let it pass.
type stand struct {
	dir        string
	host, peer int // devices
	seen       *ebpf.Map
	first      *ebpf.Program
	second     *ebpf.Program
}

func newStand(t *testing.T) *stand {
	t.Helper()
	return newStandOf(t, &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "host"}, PeerName: "peer"})
}

// newStandOf is newStand with a pair of another kind, whose names are host and peer.
func newStandOf(t *testing.T, pair netlink.Link) *stand {
	t.Helper()
	s := &stand{dir: pinDirectory(t)}
	if err := os.Mkdir(filepath.Join(s.dir, linkDir), 0o700); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatal(err)
	}
	for name, index := range map[string]*int{"host": &s.host, "peer": &s.peer} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o600); err != nil {
			t.Fatal(err) // it would send on its own
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
		*index = l.Attrs().Index
	}
	var err error
	if s.seen, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2}); err != nil {
		t.Fatal(err)
	}
	s.first, s.second = s.counting(t, 0), s.counting(t, 1)
	t.Cleanup(func() {
		s.first.Close()
		s.second.Close()
		s.seen.Close()
	})
	return s
}

// counting is a program that counts at an index and lets the packet go on.
func (s *stand) counting(t *testing.T, index int32) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.StoreImm(asm.R10, -4, int64(index), asm.Word),
			asm.Mov.Reg(asm.R2, asm.R10),
			asm.Add.Imm(asm.R2, -4),
			asm.LoadMapPtr(asm.R1, s.seen.FD()),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "out"),
			asm.Mov.Imm(asm.R1, 1),
			asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return p
}

// each runs a test for each way to attach that the kernel has.
func (s *stand) each(t *testing.T, test func(t *testing.T, h hook)) {
	for _, h := range hooksOf(s.dir) {
		if h.name() == "tcx" && !probe.TCX() {
			t.Logf("this kernel has no tcx (Linux 6.6 has): not tested")
			continue
		}
		for index := range uint32(2) {
			if err := s.seen.Put(index, uint64(0)); err != nil {
				t.Fatal(err)
			}
		}
		t.Log("by", h.name())
		test(t, h)
	}
}

// send sends frames from a device, as a process with a raw socket does. It may be called from any thread.
func (s *stand) sender(t *testing.T, device int) func(count int) error {
	t.Helper()
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	frame := make([]byte, 64)
	copy(frame, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5") // to everybody, a protocol for experiments
	return func(count int) error {
		for range count {
			if err := unix.Sendto(socket, frame, 0, &unix.SockaddrLinklayer{Ifindex: device}); err != nil {
				return err
			}
		}
		return nil
	}
}

// counts are the packets that each program has seen.
func (s *stand) counts(t *testing.T) (list [2]uint64) {
	t.Helper()
	for index := range list {
		if err := s.seen.Lookup(uint32(index), &list[index]); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// arrived waits until the programs have seen so many packets, or give up: what is missing then is lost.
func (s *stand) arrived(t *testing.T, packets uint64) (seen [2]uint64) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); seen[0]+seen[1] < packets && time.Now().Before(end); runtime.Gosched() {
		seen = s.counts(t)
	}
	return seen
}

// overrun is how many packets this machine has thrown away before any program saw them, since it did not keep up with their
// senders: the second column of /proc/net/softnet_stat.
func overrun(t *testing.T) (sum uint64) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/softnet_stat")
	check(t, err)
	for line := range strings.Lines(string(text)) {
		n, err := strconv.ParseUint(strings.Fields(line)[1], 16, 64)
		check(t, err)
		sum += n
	}
	return sum
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryPacketMeetsOneProgramWhileProgramsAreReplaced(t *testing.T) {
	s := newStand(t)
	s.each(t, func(t *testing.T, h hook) {
		s.replace(t, h, "from_pod", s.peer)
		s.replace(t, h, "to_pod", s.host)
	})
}

// replace attaches one program after the other while a device sends: each packet meets one of them, the one that is listed.
func (s *stand) replace(t *testing.T, h hook, program string, from int) {
	t.Helper()
	const packets = 20000
	before, thrown := s.counts(t), overrun(t)
	check(t, h.attach(program, s.first, s.host))
	send, done := s.sender(t, from), make(chan error)
	go func() { done <- send(packets) }()
	replaced := 0
	for sending := true; sending; replaced++ {
		p := []*ebpf.Program{s.second, s.first}[replaced%2]
		check(t, h.attach(program, p, s.host))
		s.listed(t, h, program, p)
		select {
		case err := <-done:
			check(t, err)
			sending = false
		default:
		}
	}
	after := s.arrived(t, before[0]+before[1]+packets)
	first, second := after[0]-before[0], after[1]-before[1]
	t.Logf("%s %s: %d replacements, the programs saw %d and %d packets", h.name(), program, replaced, first, second)
	if lost := overrun(t) - thrown; first+second > packets || first+second+lost < packets {
		t.Errorf("%s %s: %d packets were sent, %d thrown away, the programs saw %d and %d", h.name(), program, packets, lost, first, second)
	}
	s.detach(t, h, program, s.host)
	check(t, send(10))
	if got := s.counts(t); got != after {
		t.Errorf("%s %s: a program saw packets after it was detached: %v, then %v", h.name(), program, after, got)
	}
}

// detach takes a program off a device, as Datapath.Detach does.
func (s *stand) detach(t *testing.T, h hook, program string, ifindex int) {
	t.Helper()
	check(t, h.detach(program, ifindex))
	check(t, release(s.dir, ifindex))
}

// listed wants a program, and no other, to be what a hook says it has attached.
func (s *stand) listed(t *testing.T, h hook, program string, p *ebpf.Program) {
	t.Helper()
	info, err := p.Info()
	check(t, err)
	id, _ := info.ID()
	list, err := h.list()
	check(t, err)
	want := []Attachment{{Ifindex: s.host, Program: program, By: h.name(), ID: id}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Fatalf("%s lists other than what is attached (-want +got):\n%s", h.name(), diff)
	}
}

// trafficControl prints qdiscs and filters of a device.
func trafficControl(t *testing.T, ifindex int) (lines []string) {
	t.Helper()
	device, err := netlink.LinkByIndex(ifindex)
	check(t, err)
	qdiscs, err := netlink.QdiscList(device)
	check(t, err)
	for _, q := range qdiscs {
		lines = append(lines, fmt.Sprintf("qdisc %s %x", q.Type(), q.Attrs().Parent))
	}
	for _, side := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		list, err := filter.List(ifindex, side)
		check(t, err)
		for _, f := range list {
			line := fmt.Sprintf("filter %s %v", f.Type(), f.Attrs())
			if b, ok := f.(*netlink.BpfFilter); ok {
				line += fmt.Sprint(" ", b.Name, b.Id)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

func TestFiltersOfOthersStayAsTheyAre(t *testing.T) {
	s := newStand(t)
	device, err := netlink.LinkByIndex(s.host)
	check(t, err)
	check(t, netlink.QdiscAdd(qdisc(s.host)))
	attrs := func(side uint32, priority uint16) netlink.FilterAttrs {
		return netlink.FilterAttrs{LinkIndex: device.Attrs().Index, Parent: side, Priority: priority, Protocol: unix.ETH_P_ALL}
	}
	// A filter of another kind on the first priority, a program of another owner, and one that has our priority.
	check(t, netlink.FilterAdd(&netlink.U32{FilterAttrs: attrs(netlink.HANDLE_MIN_INGRESS, 1), ClassId: netlink.MakeHandle(1, 1)}))
	check(t, netlink.FilterAdd(&netlink.BpfFilter{FilterAttrs: attrs(netlink.HANDLE_MIN_INGRESS, 2), Fd: s.second.FD(), Name: "theirs", DirectAction: true}))
	check(t, netlink.FilterAdd(&netlink.BpfFilter{FilterAttrs: attrs(netlink.HANDLE_MIN_EGRESS, 1), Fd: s.second.FD(), Name: "theirs", DirectAction: true}))
	before := trafficControl(t, s.host)
	s.each(t, func(t *testing.T, h hook) {
		for range 2 {
			check(t, h.attach("from_net", s.first, s.host))
			check(t, h.attach("to_net", s.first, s.host))
		}
		if list, err := h.list(); err != nil || len(list) != 2 {
			t.Errorf("%s: attached are %v, %v", h.name(), list, err)
		}
		s.detach(t, h, "from_net", s.host)
		s.detach(t, h, "to_net", s.host)
		if diff := cmp.Diff(before, trafficControl(t, s.host)); diff != "" {
			t.Errorf("%s: a filter of another owner, or their qdisc, was changed: %s", h.name(), diff)
		}
	})
}

func TestWhatIsDetachedLeavesNothing(t *testing.T) {
	s := newStand(t)
	before := trafficControl(t, s.host)
	s.each(t, func(t *testing.T, h hook) {
		check(t, h.attach("from_pod", s.first, s.host))
		check(t, h.attach("to_pod", s.first, s.host))
		list, err := h.list()
		check(t, err)
		info, err := s.first.Info()
		check(t, err)
		id, _ := info.ID()
		slices.SortFunc(list, func(a, b Attachment) int { return len(b.Program) - len(a.Program) })
		want := []Attachment{{Ifindex: s.host, Program: "from_pod", By: h.name(), ID: id}, {Ifindex: s.host, Program: "to_pod", By: h.name(), ID: id}}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("%s: %s", h.name(), diff)
		}
		for range 2 { // what is gone already is no error
			s.detach(t, h, "from_pod", s.host)
			s.detach(t, h, "to_pod", s.host)
		}
		if diff := cmp.Diff(before, trafficControl(t, s.host)); diff != "" {
			t.Errorf("%s left: %s", h.name(), diff)
		}
		if left, err := os.ReadDir(filepath.Join(s.dir, linkDir)); err != nil || len(left) > 0 {
			t.Errorf("%s left pins: %v, %v", h.name(), left, err)
		}
	})
}

func TestADeviceThatIsGoneIsNoTrouble(t *testing.T) {
	s := newStand(t)
	s.each(t, func(t *testing.T, h hook) { check(t, h.attach("from_pod", s.first, s.host)) })
	device, err := netlink.LinkByIndex(s.host)
	check(t, err)
	check(t, netlink.LinkDel(device))
	for _, h := range withNetkit(s.dir, hooksOf(s.dir)) {
		s.detach(t, h, "from_pod", s.host)
		if list, err := h.list(); err != nil || len(list) != 0 {
			t.Errorf("%s: attached are %v, %v", h.name(), list, err)
		}
		if h.name() == "tcx" && !probe.TCX() || h.name() == "netkit" && !probe.Netkit() {
			continue
		}
		if err := h.attach("from_pod", s.first, s.host); err == nil {
			t.Errorf("%s: attached to a device that is gone", h.name())
		}
	}
	if left, err := os.ReadDir(filepath.Join(s.dir, linkDir)); err != nil || len(left) > 0 {
		t.Errorf("pins are left: %v, %v", left, err)
	}
}

func TestAnAgentThatAttachesAnotherWayTakesOverWithoutAGap(t *testing.T) {
	kerneltest.Needs(t, kerneltest.TCX, probe.TCX())
	s := newStand(t)
	old := &Datapath{dir: s.dir, hooks: hooksOf(s.dir), programs: map[string]*ebpf.Program{"from_net": s.first}}
	check(t, old.Attach("from_net", s.host))
	const packets = 20000
	before := overrun(t)
	send, done := s.sender(t, s.peer), make(chan error)
	go func() { done <- send(packets) }()
	ways := 0
	for sending := true; sending; ways++ {
		next := &Datapath{dir: s.dir, hooks: hooksOf(s.dir), programs: map[string]*ebpf.Program{"from_net": s.second}}
		if ways%2 == 0 {
			slices.Reverse(next.hooks)
		}
		check(t, next.Attach("from_net", s.host))
		list, err := next.Attachments()
		if err != nil || len(list) != 1 || !list[0].Current || list[0].By != next.hooks[0].name() {
			t.Fatalf("attached are %v, %v", list, err)
		}
		if list, err := List(s.dir); err != nil || len(list) != 1 {
			t.Fatalf("attached are %v, %v", list, err)
		}
		select {
		case err := <-done:
			check(t, err)
			sending = false
		default:
		}
	}
	seen := s.arrived(t, packets)
	if lost := overrun(t) - before; seen[0]+seen[1] > packets || seen[0]+seen[1]+lost < packets {
		t.Errorf("%d packets were sent, %d thrown away, the programs saw %v", packets, lost, seen)
	}
	t.Logf("%d changes of the way", ways)
}

// A device that gets or loses a clsact qdisc drops all that it is to send until the kernel has started its queues anew.
func TestADeviceSendsAllThatItIsToWhileTheWayToAttachChanges(t *testing.T) {
	kerneltest.Needs(t, kerneltest.TCX, probe.TCX())
	s := newStand(t)
	modern := &Datapath{dir: s.dir, hooks: hooksOf(s.dir), programs: map[string]*ebpf.Program{"from_net": s.first, "to_net": s.first}}
	old := &Datapath{dir: s.dir, hooks: slices.Clone(modern.hooks), programs: modern.programs}
	slices.Reverse(old.hooks)
	attach := func(d *Datapath) {
		check(t, d.Attach("from_net", s.host))
		check(t, d.Attach("to_net", s.host))
	}
	before := trafficControl(t, s.host)
	attach(modern)
	check(t, hooksOf(s.dir)[0].attach("from_pod", s.second, s.peer))
	const packets = 20000
	thrown := overrun(t)
	send, done := s.sender(t, s.host), make(chan error)
	go func() { done <- send(packets) }()
	ways := 0
	for sending := true; sending; ways++ {
		attach([]*Datapath{old, modern}[ways%2])
		select {
		case err := <-done:
			check(t, err)
			sending = false
		default:
		}
	}
	s.arrived(t, 2*packets)
	if seen, lost := s.counts(t), overrun(t)-thrown; seen[0] != packets || seen[1]+lost < packets {
		t.Errorf("%d packets were sent, %d thrown away: %d met the program, %d arrived", packets, lost, seen[0], seen[1])
	}
	s.detach(t, hooksOf(s.dir)[0], "from_pod", s.peer)
	check(t, modern.Detach("from_net", s.host))
	check(t, modern.Detach("to_net", s.host))
	if diff := cmp.Diff(before, trafficControl(t, s.host)); diff != "" {
		t.Errorf("something is left (-before +after):\n%s", diff)
	}
	t.Logf("%d changes of the way", ways)
}

// An agent of before has attached by tcx and made no qdisc. Its device keeps that way: while it gets one it would drop packets.
func TestADeviceWithoutAQdiscKeepsTheWayItHasAndLosesNothing(t *testing.T) {
	kerneltest.Needs(t, kerneltest.TCX, probe.TCX())
	s := newStand(t)
	before := tcx{linksOf(s.dir)}
	for program, side := range map[string]ebpf.AttachType{"from_net": ebpf.AttachTCXIngress, "to_net": ebpf.AttachTCXEgress} {
		l, err := link.AttachTCX(link.TCXOptions{Interface: s.host, Program: s.first, Attach: side})
		check(t, err)
		check(t, before.Keep(l, program, s.host))
	}
	hooks := hooksOf(s.dir)
	slices.Reverse(hooks) // enable-tcx is false from now on
	d := &Datapath{dir: s.dir, hooks: hooks, programs: map[string]*ebpf.Program{"from_net": s.second, "to_net": s.second}}
	check(t, before.attach("from_pod", s.second, s.peer)) // it counts what arrives
	const packets = 20000
	thrown := overrun(t)
	send, done := s.sender(t, s.host), make(chan error)
	go func() { done <- send(packets) }()
	for s.counts(t)[0] < packets/20 {
		runtime.Gosched()
	}
	for sending := true; sending; {
		check(t, d.Attach("from_net", s.host))
		check(t, d.Attach("to_net", s.host))
		select {
		case err := <-done:
			check(t, err)
			sending = false
		default:
		}
	}
	s.arrived(t, 2*packets)
	if seen, lost := s.counts(t), overrun(t)-thrown; seen[0]+seen[1]+lost < 2*packets {
		t.Errorf("%d packets were sent, %d thrown away: programs saw %v, want each packet twice", packets, lost, seen)
	}
	list, err := d.Attachments()
	check(t, err)
	for _, a := range list {
		if a.Ifindex == s.host && (a.By != "tcx" || !a.Current) {
			t.Errorf("%s is attached by %s, current %v", a.Program, a.By, a.Current)
		}
	}
	// Without its programs, it gets them as the configuration says.
	for _, program := range []string{"from_net", "to_net"} {
		check(t, d.Detach(program, s.host))
	}
	check(t, d.Attach("from_net", s.host))
	if list, err = d.Attachments(); err != nil || !slices.ContainsFunc(list, func(a Attachment) bool { return a.Ifindex == s.host && a.By == "cls_bpf" && a.Current }) {
		t.Errorf("attached are %v, %v", list, err)
	}
}

func TestNoAddWaitsForTheKernelToAttachToAWorkload(t *testing.T) {
	kerneltest.Needs(t, kerneltest.TCX, probe.TCX())
	s := newStand(t)
	d := &Datapath{dir: s.dir, hooks: hooksOf(s.dir), programs: map[string]*ebpf.Program{}}
	names := []string{"from_pod", "to_pod", "from_net", "to_net"}
	for _, name := range names {
		d.programs[name] = s.first
		check(t, d.Attach(name, s.host))
	}
	list, err := d.Attachments()
	check(t, err)
	got := map[string]string{}
	for _, a := range list {
		if got[a.Program] = a.By; !a.Current {
			t.Errorf("%s is not current", a.Program)
		}
	}
	want := map[string]string{"from_pod": "cls_bpf", "to_pod": "cls_bpf", "from_net": "tcx", "to_net": "tcx"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attached by (-want +got):\n%s", diff)
	}
	// An agent of before has attached by tcx: it is taken over, too.
	check(t, hooksOf(s.dir)[0].attach("from_pod", s.second, s.host))
	check(t, d.Attach("from_pod", s.host))
	if list, err := List(s.dir); err != nil || len(list) != len(names) {
		t.Errorf("attached are %v, %v", list, err)
	}
}

func qdisc(ifindex int) netlink.Qdisc {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
}

func TestANewDeviceGetsAllItsProgramsByOneMessageAndNoOtherDoes(t *testing.T) {
	s := newStand(t)
	d := &Datapath{dir: s.dir, hooks: hooksOf(s.dir), programs: map[string]*ebpf.Program{}}
	for _, name := range []string{"from_pod", "to_pod", "from_net"} {
		d.programs[name] = s.first
	}
	attach := func(want bool, ifindex int, programs ...string) {
		t.Helper()
		if done, err := d.AttachNew(ifindex, programs...); done != want || err != nil {
			t.Errorf("%v: done is %v, %v", programs, done, err)
		}
	}
	attach(false, s.host, "from_net")
	attach(false, s.host, "from_pod", "from_net")
	if left, err := os.ReadDir(filepath.Join(s.dir, linkDir)); err != nil || len(left) > 0 {
		t.Errorf("a qdisc was made for nothing: %v, %v", left, err)
	}
	attach(true, s.host, "from_pod", "to_pod")
	attach(false, s.host, "from_pod", "to_pod")
	list, err := d.Attachments()
	check(t, err)
	for _, a := range list {
		if !a.Current || a.By != "cls_bpf" {
			t.Errorf("attached is %+v", a)
		}
	}
	if len(list) != 2 {
		t.Errorf("attached are %v", list)
	}
	check(t, d.Detach("from_pod", s.host))
	check(t, d.Detach("to_pod", s.host))
	if left, err := os.ReadDir(filepath.Join(s.dir, linkDir)); err != nil || len(left) > 0 {
		t.Errorf("left is %v, %v", left, err)
	}
	check(t, netlink.QdiscAdd(qdisc(s.peer))) // with which it was made
	attach(true, s.peer, "from_pod", "to_pod")
	check(t, d.Detach("from_pod", s.peer))
	check(t, d.Detach("to_pod", s.peer))
	if probe.TCX() { // an earlier agent has attached another way: it is no new device
		check(t, hooksOf(s.dir)[0].attach("from_pod", s.second, s.peer))
		check(t, netlink.QdiscDel(qdisc(s.peer)))
		attach(false, s.peer, "from_pod", "to_pod")
	}
}
