package delegate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/network"
)

// How often plugins are asked for their status, and how long one has for its answer.
const (
	every  = time.Minute
	answer = 10 * time.Second
)

// Ask has plugins asked soon whether they could make NICs. It does not wait: what they say is a row of network.Impairments.
func (d *Delegates) Ask() {
	select {
	case d.asked <- struct{}{}:
	default:
	}
}

// Watch asks every minute, when it is told to, and when the first NIC of a network has been made, until ctx ends.
func (d *Delegates) Watch(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		known := d.definitions()
		if err := d.look(ctx); err != nil {
			return err
		}
		if err := d.due(ctx, tick.C, known); err != nil {
			return err
		}
	}
}

// due returns when plugins are to be asked again.
func (d *Delegates) due(ctx context.Context, tick <-chan time.Time, known []string) error {
	for {
		changed := network.Finished.WatchAll(d.DB.Snapshot())
		if !slices.Equal(known, d.definitions()) {
			return nil
		}
		select {
		case <-changed:
		case <-d.asked:
			return nil
		case <-tick:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look asks the plugins that have made NICs here, of those whose definition states a version that has STATUS, and notes which could make no more.
func (d *Delegates) look(ctx context.Context) error {
	found := map[string]network.Impairment{}
	for _, n := range d.networks() {
		if _, there := found[n.definition]; there || d.lacks(n.list) != nil {
			continue // a plugin that is missing is named where it is asked for
		}
		if err := d.status(ctx, n); err != nil {
			found[n.definition] = network.Impairment{Definition: n.definition, Types: n.types, Says: err.Error()}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return d.DB.Write(func(tx *state.Tx) error {
		for i := range network.Impairments.All(tx) {
			if _, still := found[i.Definition]; !still {
				network.Impairments.Delete(tx, network.Impairments.Key(i))
			}
		}
		for _, i := range found {
			network.Impairments.Put(tx, i)
		}
		network.Impairments.MarkSynced(tx)
		return nil
	})
}

func (d *Delegates) status(ctx context.Context, n one) error {
	within, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	err := d.plugins.GetStatusNetworkList(within, n.list)
	if err != nil && errors.Is(within.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("STATUS of %s: no answer within %v", n.types, answer)
	} else if err != nil {
		return fmt.Errorf("STATUS of %s: %w", n.types, err)
	}
	return nil
}

// definitions name those that NICs here are of. No configuration is read for that: each NIC that is made asks for them.
func (d *Delegates) definitions() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := map[string]bool{}
	for _, r := range d.have {
		names[r.Made.Want.Definition] = true
	}
	return slices.Sorted(maps.Keys(names))
}
