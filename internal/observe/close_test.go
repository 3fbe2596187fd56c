package observe

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/observe/observetest"
	"weftnet.io/weftnet/internal/observe/ring"
)

// end is the record of the end of a connection from shop/web-1 to shop/db-0.
func end(change func(*abi.CloseEvent)) []byte {
	c := abi.CloseEvent{
		Event: abi.Event{
			Time: uint64(3 * time.Second), Type: abi.EventClose, Direction: abi.DirectionEgress, Protocol: 6, Source: 300, Destination: 400,
			SrcPort: 4000, DstPort: 5432, Src: addr("10.0.0.5"), Dst: addr("10.0.0.9"),
		},
		Opened: uint64(1800 * time.Millisecond), Last: uint64(3 * time.Second), Sent: abi.Carried{Packets: 12, Bytes: 3400}, Received: abi.Carried{Packets: 1, Bytes: 52},
		Ending: abi.EndingFin,
	}
	change(&c)
	return observetest.Record(c)
}

func TestTheEndOfAConnectionIsTold(t *testing.T) {
	for _, c := range []struct {
		change func(*abi.CloseEvent)
		want   string
	}{
		{func(*abi.CloseEvent) {}, "TCP closed by FIN after 1.2s, 12 packets/3.4 kB out, 1 packet/52 B in"},
		{
			func(c *abi.CloseEvent) { c.Ending, c.Received.Bytes = abi.EndingReset, 52_100_000 },
			"TCP closed by RST after 1.2s, 12 packets/3.4 kB out, 1 packet/52 MB in",
		},
		{
			func(c *abi.CloseEvent) { c.Ending, c.Opened, c.Event.Protocol = abi.EndingIdle, 0, 17 },
			"UDP went silent, 12 packets/3.4 kB out, 1 packet/52 B in",
		},
		{
			func(c *abi.CloseEvent) {
				c.Ending, c.Opened = abi.EndingEvicted, uint64(3*time.Second-500*time.Microsecond)
			},
			"TCP made room for another after 500µs, 12 packets/3.4 kB out, 1 packet/52 B in",
		},
	} {
		o := observer(t, func(*Options) {})
		o.take(end(c.change))
		want := "03.000: shop/web-1:4000 (ID:300) -> shop/db-0:5432 (ID:400) close FORWARDED (" + c.want + ")\n"
		if have := lines(t, response(o.journal.Find(0))); have != want {
			t.Errorf("have %swant %s", have, want)
		}
	}
	o := observer(t, func(*Options) {})
	for _, goesOn := range []func(*abi.CloseEvent){
		func(c *abi.CloseEvent) {},
		func(c *abi.CloseEvent) { c.Opened = 0 },
	} {
		o.take(end(func(c *abi.CloseEvent) { c.Event.Type, c.Ending = abi.EventProgress, abi.EndingNone; goesOn(c) }))
	}
	for i, want := range []string{
		"TCP open for 1.2s, 12 packets/3.4 kB out, 1 packet/52 B in", "TCP open, 12 packets/3.4 kB out, 1 packet/52 B in",
	} {
		want = "03.000: shop/web-1:4000 (ID:300) -> shop/db-0:5432 (ID:400) progress FORWARDED (" + want + ")\n"
		if have := lines(t, response(o.journal.Find(uint64(i)))); have != want {
			t.Errorf("have %swant %s", have, want)
		}
	}
	o.take(end(func(c *abi.CloseEvent) { c.ToldSent.Packets = 5 })[:160]) // of a program that told of no progress
	if sent, _, ok := o.journal.Find(2).Carried(); !ok || sent.Packets != 12 {
		t.Errorf("have %v, %v", sent, ok)
	}
	o.take(end(func(*abi.CloseEvent) {})[:140])
	if o.malformed.Load() != 1 {
		t.Error("a record that is too short was taken")
	}
}

func TestAClientReadsTheNumbersOfAnEnd(t *testing.T) {
	o := observer(t, func(*Options) {})
	o.take(end(func(*abi.CloseEvent) {}))
	text, err := json.Marshal(&observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: o.journal.Find(0).Message()}})
	if err != nil {
		t.Fatal(err)
	}
	var have struct {
		Flow struct {
			Extensions struct {
				Value struct {
					Close struct {
						Ending  string
						Seconds float64
						Sent    struct{ Packets, Bytes int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	if c := have.Flow.Extensions.Value.Close; c.Ending != "fin" || c.Seconds != 1.2 || c.Sent.Packets != 12 || c.Sent.Bytes != 3400 {
		t.Errorf("have %s", text)
	}
}

func TestConnectionsAreCountedAsTheyEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observer(t, func(*Options) {})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		source := observetest.NewFeed()
		go func() { done <- o.Run(ctx, source) }()
		synctest.Wait()
		for range 2 {
			source.Records <- end(func(*abi.CloseEvent) {})
		}
		source.Records <- end(func(c *abi.CloseEvent) { c.Ending, c.Event.Protocol = abi.EndingIdle, 47 })
		source.Records <- syn(func(*abi.Event) {})
		source.Records <- end(func(c *abi.CloseEvent) { // 10 of 12 packets were told before
			c.Event.Type, c.Ending, c.Event.Protocol, c.ToldSent = abi.EventProgress, abi.EndingNone, 17, abi.Carried{Packets: 10, Bytes: 3000}
		})
		source.Records <- end(func(c *abi.CloseEvent) { c.Event.Protocol, c.ToldSent, c.ToldReceived = 17, c.Sent, c.Received })
		synctest.Wait()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(NewCollector(o, func() (map[ring.CounterKey]abi.Counter, error) { return nil, nil }))
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				have[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		for name, want := range map[string]float64{
			"weft_connections_closed_total fin TCP": 2, "weft_connections_closed_total idle other": 1,
			"weft_connection_bytes_total TCP sent": 6800, "weft_connection_packets_total TCP received": 2,
			"weft_connection_packets_total UDP sent": 2, "weft_connection_bytes_total UDP sent": 400, "weft_connection_packets_total UDP received": 1,
			"weft_connections_closed_total fin UDP": 1, "weft_connection_duration_seconds UDP": 1,
			"weft_connection_duration_seconds TCP": 2, "weft_follower_lost_flows_total connections": 0,
		} {
			if v, ok := have[name]; !ok || v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
		if t.Failed() {
			var names []string
			for name := range have {
				if strings.HasPrefix(name, "weft") {
					names = append(names, name)
				}
			}
			t.Log(names)
		}
		cancel()
		<-done
	})
}
