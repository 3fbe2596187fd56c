// Package ipfix sends what flows say to a collector, by IPFIX (RFC 7011).
//
//	the end of a connection   one record, both ways of it (RFC 5103): octets, packets, first and last packet, how it ended
//	a dropped packet          one record, with forwardingStatus 129 where a policy asked for it and else 128
//
// What else happens is told by the end of its connection, so no other flow is sent. Elements are IANA's, and the reverse ones of RFC
// 5103 (enterprise 29305); there are none for pods and policies. A message goes when it is full, or after a second. Templates
// come first, over UDP again and again.
//
// Invariants: a collector that is slow, away, or closes the connection costs records, never memory, and nothing of other readers; the
// collector sees from sequence numbers how many.
//
//	ipfix.Run(ctx, observer, "udp://192.0.2.1:4739", log)
package ipfix

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/observe"
)

// Source is where flows come from: an observer.
type Source interface {
	Each(ctx context.Context, take func(*observe.Flow, *flowpb.LostEvent))
}

const (
	patience = 5 * time.Second  // of a write, and before a collector is tried again
	flush    = time.Second      // a record waits no longer
	refresh  = 10 * time.Minute // of templates, over UDP (RFC 7011 section 10.3.6)
)

// Run sends flows to a collector, udp://HOST:PORT or tcp://HOST:PORT, until ctx ends. Its error says what of the address makes no sense.
func Run(ctx context.Context, source Source, collector string, log *slog.Logger) error {
	u, err := url.Parse(collector)
	if err != nil || u.Scheme != "udp" && u.Scheme != "tcp" || u.Port() == "" || u.Hostname() == "" || u.Path != "" {
		return fmt.Errorf("%q is no collector: it should be udp://HOST:PORT or tcp://HOST:PORT", collector)
	}
	log = log.With("collector", collector)
	e := &encoder{}
	for told := false; ctx.Err() == nil; {
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, u.Scheme, u.Host)
		if err == nil {
			log.Info("flows are sent by IPFIX")
			told = false
			err = send(ctx, source, conn, e)
		}
		if err != nil && !told && ctx.Err() == nil {
			told = true
			log.Error("flows are not sent by IPFIX until the collector takes them", "error", err)
		}
		select {
		case <-time.After(patience):
		case <-ctx.Done():
		}
	}
	return nil
}

// send sends until the connection fails or ctx ends.
func send(ctx context.Context, source Source, conn net.Conn, e *encoder) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer conn.Close()
	_, datagrams := conn.(*net.UDPConn)
	s := &session{conn: conn, e: e, refresh: datagrams}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		tick := time.NewTicker(flush)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if err := s.flush(now); err != nil {
					cancel(err)
				}
			}
		}
	})
	source.Each(ctx, func(f *observe.Flow, lost *flowpb.LostEvent) {
		if lost != nil {
			return // sequence numbers are of records that were to be sent; others are the agent's to tell
		}
		if err := s.add(f.Message(), time.Now()); err != nil {
			cancel(err)
		}
	})
	_ = s.flush(time.Now())
	return context.Cause(ctx)
}

// session is a connection to a collector.
type session struct {
	conn    net.Conn
	refresh bool // templates are sent again

	mu        sync.Mutex
	e         *encoder
	templates time.Time // when they were sent last
}

func (s *session) add(f *flowpb.Flow, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.e.add(f) {
		return nil
	}
	if err := s.write(now); err != nil {
		return err
	}
	s.e.add(f)
	return nil
}

func (s *session) flush(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(now)
}

// write sends what is there; mu is held.
func (s *session) write(now time.Time) error {
	var messages [][]byte
	if s.templates.IsZero() || s.refresh && now.Sub(s.templates) >= refresh {
		s.templates = now
		messages = append(messages, s.e.message(templates(), 0, now))
	}
	if m := s.e.take(now); m != nil {
		messages = append(messages, m)
	}
	for _, m := range messages {
		_ = s.conn.SetWriteDeadline(now.Add(patience))
		if _, err := s.conn.Write(m); err != nil {
			return err
		}
	}
	return nil
}
