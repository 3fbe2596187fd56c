// Package network puts the parts together that give pods further NICs: what derives them, what makes them, and what tells people of them.
//
// # The world it models
//
//	pods, definitions  -> derive/network -> interfaces -> sink/link/delegate -> interfaces-made -> network-statuses -> annotations
//	                                    \-> interface-troubles -> events NoNetworkFound
//	                                               interfaces-made -> their plugins' STATUS -> network-impairments -> events ImpairedNetwork
//	                                    \-> address-orders -> sink/grant -> address-grants -> interfaces
//
// # Invariants
//
//   - An event is written once for each NIC that has been made by this process, and for each trouble as often as its words change.
//
// # Example
//
//	n, err := network.Open(network.Options{DB: db, Root: root, StateDir: dir, Path: path, Log: log})
//	loop := n.Loop()
package network

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	derive "weftnet.io/weftnet/internal/derive/network"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/link/conflict"
	"weftnet.io/weftnet/internal/sink/link/delegate"
	"weftnet.io/weftnet/internal/sink/link/lease"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

// Derivations and Needs are those of further NICs.
var (
	Derivations = derive.Derivations
	Needs       = derive.Needs
)

// Fills are the tables of further NICs that an agent fills itself.
func Fills(*table.Tables) []state.AnyTable {
	return []state.AnyTable{
		network.Interfaces, network.Troubles, network.Finished, network.Impairments, network.Statuses, network.Others, network.Found, network.Files,
		grant.Orders, grant.Grants, grant.TakenAddresses, grant.Lapses, grant.Silences,
	}
}

// Options are what Networks work with.
type Options struct {
	DB       *state.DB
	Root     string // where files of the host are seen; empty: at /
	StateDir string
	Path     []string      // folders of CNI plugins
	Probe    func() string // value of the key network-conflict-detection
	Told     bool          // there is an API server, which is told of what is made
	Log      *slog.Logger
}

// Networks gives pods further NICs.
type Networks struct {
	Options
	*delegate.Delegates
	leases *lease.Keeper

	mu    sync.Mutex // guards made
	made  []event
	woken chan struct{}
}

// event is one about a pod.
type event struct {
	namespace, pod, uid string
	warning             bool
	reason, message     string
}

// Open reads what earlier agents have made.
func Open(o Options) (*Networks, error) {
	n := &Networks{Options: o, woken: make(chan struct{}, 1)}
	d := delegate.Options{DB: o.DB, Root: o.Root, StateDir: o.StateDir, Path: o.Path, Log: o.Log}
	d.Probe = func() conflict.Mode { return conflict.Mode(o.Probe()) }
	d.Leaving = func(i network.Interface) { n.leases.Leaving(i) }
	if o.Told {
		d.Added = n.added
	}
	var err error
	if n.Delegates, err = delegate.Open(d); err != nil {
		return nil, err
	}
	k := lease.Options{DB: o.DB, Root: o.Root, StateDir: o.StateDir, Log: o.Log, NICs: n.Delegates, Probe: d.Probe}
	if o.Told {
		k.Tell = n.leased
	}
	n.leases, err = lease.Open(k)
	return n, err
}

// Loop keeps NICs equal to table interfaces.
func (n *Networks) Loop() *reconcile.Loop[network.Interface] {
	return &reconcile.Loop[network.Interface]{Table: network.Interfaces, Sink: n.Delegates, WaitSynced: true, MaxBackoff: retry}
}

// retry is the longest pause before a NIC that cannot be made is tried again: what it lacks comes from people, who wait.
const retry = 10 * time.Second

// added notes a NIC that has been made, in the words of Multus, which KubeVirt and people look for.
func (n *Networks) added(i network.Interface, addresses []netip.Prefix) {
	texts := make([]string, len(addresses))
	for k, a := range addresses {
		texts[k] = a.String()
	}
	n.tell(event{i.Namespace, i.Pod, i.UID, false, "AddedInterface", fmt.Sprintf("Add %s [%s] from %s", i.Interface, strings.Join(texts, " "), i.Definition)})
}

// tell has an event written.
func (n *Networks) tell(e event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.made = append(n.made, e)
	select {
	case n.woken <- struct{}{}:
	default:
	}
}

// Events writes events.
type Events interface {
	Warn(ctx context.Context, about corev1.ObjectReference, reason, message string) error
	Tell(ctx context.Context, about corev1.ObjectReference, reason, message string) error
}

// Tell writes events of what is made, and of what is not and why, until ctx ends.
func (n *Networks) Tell(ctx context.Context, to Events) error {
	feed := network.Troubles.Feed(n.DB)
	defer feed.Close()
	for {
		changes, _, more := feed.Next()
		var list []event
		for _, c := range changes {
			if !c.Deleted {
				list = append(list, troubled(c.Row))
			}
		}
		n.mu.Lock()
		list, n.made = append(list, n.made...), nil
		n.mu.Unlock()
		for _, e := range list {
			about := corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: e.namespace, Name: e.pod, UID: types.UID(e.uid)}
			write := to.Tell
			if e.warning {
				write = to.Warn
			}
			if err := write(ctx, about, e.reason, e.message); err != nil && ctx.Err() == nil {
				n.Options.Log.Warn("tell of a pod's further NICs", "pod", e.namespace+"/"+e.pod, "message", e.message, "error", err)
			}
		}
		select {
		case <-more:
		case <-n.woken:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// troubled is the event about a NIC that is missing: in the words of Multus first, since people and programs look for them.
func troubled(t network.Trouble) event {
	e := event{t.Namespace, t.Pod, t.UID, true, "FailedInterface", t.Lacks}
	if t.Missing {
		namespace, name, _ := strings.Cut(t.Definition, "/")
		e.reason, e.message = "NoNetworkFound", fmt.Sprintf("cannot find a network-attachment-definition (%s) in namespace (%s): %s", name, namespace, t.Lacks)
	}
	if t.Advice != "" {
		e.message += ": " + t.Advice
	}
	return e
}
