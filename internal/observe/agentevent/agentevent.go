// Package agentevent tells what the agent did: Hubble's agent events, for observer.Observer/GetAgentEvents.
//
//	AGENT_STARTED                     this package begins
//	POLICY_UPDATED, _DELETED          table policies
//	ENDPOINT_CREATED, _DELETED        table attachments
//	ENDPOINT_REGENERATE_SUCCESS       tables set-statuses and nic-statuses: the kernel has a new policy set for a NIC
//	ENDPOINT_REGENERATE_FAILURE       table statuses: it cannot have it, and why
//	IPCACHE_UPSERTED, _DELETED        table ipcache
//	SERVICE_UPSERTED, _DELETED        table frontends; Hubble calls them deprecated and has no others
//
// An event is a change of a row; what a table has in its first full list is no event, however long that is. The number of an
// endpoint is that of its attachment, as in flows; a frontend's is a hash of what it is reached by.
//
// Invariants: each change of a row is one event at most, and changes of one table are told in order; changes that overtake each
// other before they are read are one. The last Kept events are kept.
//
//	events := agentevent.New(tables, db, time.Now)
//	go events.Run(ctx)
//	err := events.Journal.Answer(ctx, journal.Range{Number: 20}, …)
package agentevent

import (
	"context"
	"fmt"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/observe/journal"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Kept is how many events are kept.
const Kept = 4095

// Event is one of them; its Message is not to be changed.
type Event struct {
	journal.Entry
	Message *flowpb.AgentEvent
}

// Missed tells a reader that it was too slow for events. Hubble has no kind for that.
func Missed(n uint64, now time.Time) *Event {
	return &Event{journal.Entry{At: now}, &flowpb.AgentEvent{Notification: &flowpb.AgentEvent_Unknown{Unknown: &flowpb.AgentEventUnknown{
		Type: "lost", Notification: fmt.Sprintf("%d events were overwritten before this client read them", n),
	}}}}
}

// Events are those of an agent.
type Events struct {
	Journal *journal.Journal[Event, *Event]

	tables *table.Tables
	db     *state.DB
	now    func() time.Time
	mu     sync.Mutex // tables are followed side by side, and Journal takes one event at a time
}

// New begins with the news that the agent has started.
func New(tables *table.Tables, db *state.DB, now func() time.Time) *Events {
	e := &Events{Journal: journal.New[Event](Kept), tables: tables, db: db, now: now}
	e.tell(&flowpb.AgentEvent{Type: flowpb.AgentEventType_AGENT_STARTED, Notification: &flowpb.AgentEvent_AgentStart{
		AgentStart: &flowpb.TimeNotification{Time: timestamppb.New(now())},
	}})
	return e
}

func (e *Events) tell(message *flowpb.AgentEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.Journal.Put(&Event{journal.Entry{At: e.now()}, message})
}

// Run follows the tables until ctx ends.
func (e *Events) Run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { follow(ctx, e, e.tables.Policies, e.policy) })
	work.Go(func() { follow(ctx, e, e.tables.Attachments, e.attachment) })
	work.Go(func() { follow(ctx, e, e.tables.SetStatuses, e.set) })
	work.Go(func() { follow(ctx, e, e.tables.NICStatuses, e.nic) })
	work.Go(func() { follow(ctx, e, status.Statuses, e.outcome) })
	work.Go(func() { follow(ctx, e, e.tables.IPCache, e.ipcache) })
	work.Go(func() { follow(ctx, e, e.tables.Frontends, e.frontend) })
}

// follow gives the changes of a table after its first full list.
func follow[R state.Row](ctx context.Context, e *Events, t *state.Table[R], change func(*state.Snapshot, state.Change[R])) {
	feed := t.Feed(e.db)
	defer feed.Close()
	for full := false; ; {
		changes, s, more := feed.Next()
		if full {
			for _, c := range changes {
				change(s, c)
			}
			if len(changes) > 0 {
				e.Journal.Wake()
			}
		}
		full = full || t.IsSynced(s)
		select {
		case <-ctx.Done():
			return
		case <-more:
		}
	}
}
