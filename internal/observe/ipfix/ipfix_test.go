package ipfix

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/observetest"
	"weftnet.io/weftnet/internal/table"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// closed is the end of a connection.
func closed(change func(*flowpb.Flow)) *flowpb.Flow {
	f := &flowpb.Flow{
		Time: timestamppb.New(epoch), IP: &flowpb.IP{Source: "10.0.0.5", Destination: "10.0.0.9"}, L4: flow.L4(6, 4000, 80, 3),
		EventType: &flowpb.CiliumEventType{Type: flow.EventTrace, SubType: flow.PointClose}, TrafficDirection: flowpb.TrafficDirection_EGRESS,
		Interface: &flowpb.NetworkInterface{Index: 7, Name: "eth0"},
		Extensions: flow.Extra{Close: &flow.Close{
			Ending: "fin", Duration: 1500 * time.Millisecond, Sent: flow.Carried{Packets: 12, Bytes: 3400}, Received: flow.Carried{Packets: 10, Bytes: 52000},
		}}.Extension(),
	}
	change(f)
	return f
}

// collector understands messages by their templates alone (RFC 7011 section 3).
type collector struct {
	templates map[uint16][]element
	sequence  []uint32
	records   []string
}

func (c *collector) message(t *testing.T, m []byte) {
	t.Helper()
	if version, length := binary.BigEndian.Uint16(m), int(binary.BigEndian.Uint16(m[2:])); version != 10 || length != len(m) {
		t.Fatalf("version %d, %d bytes of %d", version, length, len(m))
	}
	c.sequence = append(c.sequence, binary.BigEndian.Uint32(m[8:]))
	for body := m[header:]; len(body) > 0; {
		id, length := binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])
		set := body[4:length]
		body = body[length:]
		if id == templateSet {
			c.learn(set)
			continue
		}
		for len(set) > 0 {
			set = c.record(t, id, set)
		}
	}
}

func (c *collector) learn(set []byte) {
	for len(set) > 0 {
		id, n := binary.BigEndian.Uint16(set), binary.BigEndian.Uint16(set[2:])
		set = set[4:]
		c.templates[id] = nil
		for range n {
			e := element{number: binary.BigEndian.Uint16(set), bytes: binary.BigEndian.Uint16(set[2:])}
			set = set[4:]
			if e.number>>15 == 1 {
				e.number, e.enterprise = e.number&^(1<<15), binary.BigEndian.Uint32(set)
				set = set[4:]
			}
			c.templates[id] = append(c.templates[id], e)
		}
	}
}

func (c *collector) record(t *testing.T, id uint16, set []byte) []byte {
	t.Helper()
	shape := c.templates[id]
	if shape == nil {
		t.Fatalf("a record of template %d, which no message told", id)
	}
	var text []string
	for _, e := range shape {
		n := int(e.bytes)
		if n == variable {
			n, set = int(set[0]), set[1:]
		}
		name, value := fmt.Sprint(e.number), set[:n]
		set = set[n:]
		if e.enterprise != 0 {
			name = fmt.Sprintf("%d/%d", e.enterprise, e.number)
		}
		a, isAddress := netip.AddrFromSlice(value)
		switch {
		case e.bytes == variable:
			text = append(text, fmt.Sprintf("%s=%q", name, value))
		case isAddress && (e.number == 8 || e.number == 12 || e.number == 27 || e.number == 28):
			text = append(text, name+"="+a.String())
		default:
			text = append(text, fmt.Sprintf("%s=%d", name, bigEndian(value)))
		}
	}
	c.records = append(c.records, strings.Join(text, " "))
	return set
}

func bigEndian(b []byte) (n uint64) {
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	return n
}

func TestRecordsSayWhatFlowsDo(t *testing.T) {
	e := &encoder{}
	for _, f := range []*flowpb.Flow{
		closed(func(*flowpb.Flow) {}),
		closed(func(f *flowpb.Flow) { f.EventType.SubType, f.Extensions = 0, nil }), // no end, no record
		closed(func(f *flowpb.Flow) {
			f.IP = &flowpb.IP{Source: "fd00::5", Destination: "fd00::9"}
			f.EventType, f.DropReasonDesc, f.Extensions, f.L4 = &flowpb.CiliumEventType{Type: flow.EventDrop}, flowpb.DropReason_POLICY_DENIED, nil, flow.L4(17, 1, 53, 0)
			f.TrafficDirection, f.Interface = flowpb.TrafficDirection_INGRESS, nil
		}),
		closed(func(f *flowpb.Flow) { f.IP = nil }), // nor what has no addresses
		closed(func(f *flowpb.Flow) { // of what goes on, and of an end, what was not told before
			f.EventType.SubType, f.Interface = flow.PointProgress, nil
			f.Extensions = flow.Extra{Progress: &flow.Close{
				Duration: time.Minute, Sent: flow.Carried{Packets: 12, Bytes: 3400}, Received: flow.Carried{Packets: 10, Bytes: 52000},
				ToldSent: flow.Carried{Packets: 10, Bytes: 3000}, ToldReceived: flow.Carried{Packets: 9, Bytes: 50000},
			}}.Extension()
		}),
	} {
		if !e.add(f) {
			t.Fatal("the message is full")
		}
	}
	c := &collector{templates: map[uint16][]element{}}
	c.message(t, e.message(templates(), 0, epoch))
	c.message(t, e.take(epoch))
	if m := e.take(epoch); m != nil {
		t.Errorf("there is another message: %x", m)
	}
	want := []string{
		`8=10.0.0.5 12=10.0.0.9 152=1772366398500 153=1772366400000 7=4000 11=80 4=6 6=3 1=3400 2=12 29305/1=52000 29305/2=10 136=3 89=64 61=1 10=7 82="eth0" 350=""`,
		`8=10.0.0.5 12=10.0.0.9 152=1772366340000 153=1772366400000 7=4000 11=80 4=6 6=3 1=400 2=2 29305/1=2000 29305/2=1 136=2 89=64 61=1 10=0 82="" 350=""`,
		`27=fd00::5 28=fd00::9 152=1772366400000 153=1772366400000 7=1 11=53 4=17 6=0 1=0 2=1 29305/1=0 29305/2=0 136=0 89=129 61=0 10=0 82="" 350=""`,
	}
	if have := strings.Join(c.records, "\n"); have != strings.Join(want, "\n") {
		t.Errorf("have\n%s", have)
	}
}

func TestAMessageIsNoLongerThanAPathTakes(t *testing.T) {
	e, c, all := &encoder{}, &collector{templates: map[uint16][]element{}}, 0
	c.message(t, e.message(templates(), 0, epoch))
	for range 100 {
		for !e.add(closed(func(*flowpb.Flow) {})) {
			m := e.take(epoch)
			if len(m) > most {
				t.Fatalf("a message of %d bytes", len(m))
			}
			c.message(t, m)
		}
		all++
	}
	c.message(t, e.take(epoch))
	if len(c.records) != all || c.sequence[len(c.sequence)-1] >= uint32(all) || c.sequence[2] == 0 {
		t.Errorf("%d of %d records, sequences %v", len(c.records), all, c.sequence)
	}
}

// drops has an observer make the same drop again and again, until the test ends.
func drops(t *testing.T) *observe.Observer {
	t.Helper()
	tables, db := table.New()
	o := observe.New(tables, db, observe.Options{Node: "n1"})
	f := observetest.NewFeed()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = o.Run(ctx, f) })
	work.Go(func() {
		e := abi.Event{
			Type: abi.EventDrop, Reason: abi.DropStale, Hook: abi.HookFromPod, Protocol: 6, SrcPort: 4000, DstPort: 80,
			Src: abi.From(netip.MustParseAddr("10.0.0.5")), Dst: abi.From(netip.MustParseAddr("10.0.0.9")),
		}
		for {
			select {
			case f.Records <- observetest.Record(e):
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	return o
}

func TestACollectorGetsTemplatesAndThenRecords(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for address, read := range map[string]func() []byte{
		"udp://" + packets.LocalAddr().String(): func() []byte {
			b := make([]byte, 65536)
			n, _, err := packets.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			return b[:n]
		},
		"tcp://" + stream.Addr().String(): overStream(t, stream),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- Run(ctx, drops(t), address, slog.New(slog.DiscardHandler)) }()
		c := &collector{templates: map[uint16][]element{}}
		for len(c.records) == 0 {
			c.message(t, read())
		}
		if want := "8=10.0.0.5 12=10.0.0.9 "; !strings.HasPrefix(c.records[0], want) || !strings.Contains(c.records[0], " 89=128 ") {
			t.Errorf("%s: have %s", address, c.records[0])
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// overStream reads messages, one after the other, of the first connection.
func overStream(t *testing.T, l net.Listener) func() []byte {
	var conn net.Conn
	return func() []byte {
		t.Helper()
		if conn == nil {
			var err error
			if conn, err = l.Accept(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
		}
		m := make([]byte, header)
		if _, err := io.ReadFull(conn, m); err != nil {
			t.Fatal(err)
		}
		m = append(m, make([]byte, int(binary.BigEndian.Uint16(m[2:]))-header)...)
		if _, err := io.ReadFull(conn, m[header:]); err != nil {
			t.Fatal(err)
		}
		return m
	}
}

func TestAnAddressThatMakesNoSenseIsRefused(t *testing.T) {
	for _, address := range []string{"192.0.2.1:4739", "http://192.0.2.1:4739", "udp://192.0.2.1", "udp://:4739", "tcp://192.0.2.1:4739/x"} {
		if err := Run(t.Context(), nil, address, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "udp://HOST:PORT or tcp://HOST:PORT") {
			t.Errorf("%s: have %v", address, err)
		}
	}
}
