package address

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	claimv1 "weftnet.io/weftnet/api/cncf/v1alpha1"
	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/cluster"
	"weftnet.io/weftnet/internal/sink/kube/block"
	"weftnet.io/weftnet/internal/sink/kube/object"
)

// Rest is how long an address that was given back is not given again.
const Rest = time.Minute

// patience bounds the requests of one round of answers.
const patience = 20 * time.Second

// Config says for which node.
type Config struct {
	API  *rest.Config
	Node string
	Rest time.Duration    // zero: Rest
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil: none

	// Over tells whether the hold of another node on what it has has lapsed; nil: it never does.
	Over func(ctx context.Context, node string) (bool, error)

	Whereabouts string // namespace of the objects of whereabouts; empty: kube-system, as the plugin itself has it
}

// Book gives addresses on one node. It is safe for concurrent use.
type Book struct {
	node   string
	rest   time.Duration
	now    func() time.Time
	log    *slog.Logger
	blocks object.Client[v1alpha1.AddressBlock, *v1alpha1.AddressBlock]
	sticky object.Client[v1alpha1.StickyAddress, *v1alpha1.StickyAddress]
	claims object.Client[claimv1.IPAMClaim, *claimv1.IPAMClaim]
	others *Mirror
	over   func(ctx context.Context, node string) (bool, error)

	mu      sync.Mutex // guards what follows
	waiting []*ask
	busy    bool
	mine    map[nic]bool // NICs of this node that live or are being made

	work  sync.Mutex // guards what follows: one decides at a time
	known *known
}

// nic is a NIC of this node.
type nic struct{ container, device string }

// ask is a NIC that waits for an answer.
type ask struct {
	want    cluster.Want
	exact   netip.Addr    // … for this address; zero: any of the range
	release bool          // … for being forgotten
	disown  *disown       // … or an owner for letting go
	answer  chan struct{} // closes with the answer
	got     netip.Addr
	err     error
}

// disown takes one address from a NIC and its owner.
type disown struct {
	key     cluster.Key
	addr    netip.Addr
	owner   string
	foreign string // another program has given it to this one; empty: it is free again
}

// New makes the book of a node.
func New(c Config) (*Book, error) {
	blocks, err := object.Connect[v1alpha1.AddressBlock](c.API, v1alpha1.AddToScheme, v1alpha1.SchemeGroupVersion, v1alpha1.AddressBlockResource)
	if err != nil {
		return nil, err
	}
	sticky, err := object.Connect[v1alpha1.StickyAddress](c.API, v1alpha1.AddToScheme, v1alpha1.SchemeGroupVersion, v1alpha1.StickyAddressResource)
	if err != nil {
		return nil, err
	}
	claims, err := object.Connect[claimv1.IPAMClaim](c.API, claimv1.AddToScheme, claimv1.SchemeGroupVersion, claimv1.IPAMClaimResource)
	if err != nil {
		return nil, err
	}
	others, err := NewMirror(c)
	if err != nil {
		return nil, err
	}
	b := &Book{
		node: c.Node, rest: c.Rest, now: c.Now, log: c.Log, blocks: blocks, sticky: sticky, claims: claims, others: others, over: c.Over,
		mine: map[nic]bool{}, known: newKnown(),
	}
	if b.rest == 0 {
		b.rest = Rest
	}
	if b.now == nil {
		b.now = time.Now
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	return b, nil
}

// Restore tells the book which NICs of this node live. It comes before the first Sweep.
func (b *Book) Restore(container, device string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mine[nic{container, device}] = true
}

// Take gives a NIC of this node an address of a range, or the one that it or its owner has already.
func (b *Book) Take(ctx context.Context, w cluster.Want) (netip.Addr, error) {
	return b.ask(ctx, &ask{want: b.own(w)})
}

// Claim gives a NIC of this node an address that it asks for by name. The error may be a *cluster.HeldError.
func (b *Book) Claim(ctx context.Context, w cluster.Want, a netip.Addr) error {
	_, err := b.ask(ctx, &ask{want: b.own(w), exact: a})
	return err
}

func (b *Book) own(w cluster.Want) cluster.Want {
	w.Holder.Node = b.node
	b.Restore(w.Holder.Container, w.Holder.Interface)
	return w
}

// Release takes back all addresses of a NIC of this node. What has none is no error.
func (b *Book) Release(ctx context.Context, container, device string) error {
	b.mu.Lock()
	delete(b.mine, nic{container, device})
	b.mu.Unlock()
	_, err := b.ask(ctx, &ask{release: true, want: cluster.Want{Holder: cluster.Holder{Container: container, Interface: device}}})
	return err
}

// Shun takes from a NIC an address that another has on its wire. None is given it until the operator frees it. Owners keep theirs.
func (b *Book) Shun(ctx context.Context, space string, h cluster.Holder, a netip.Addr, by string) error {
	err := b.others.Free(ctx, h.Container, h.Interface) // it takes what it keeps again
	return errors.Join(err, b.drop(ctx, b.own(cluster.Want{Space: space, Holder: h}), a, by))
}

// drop takes back one address of a NIC, and from its owner.
func (b *Book) drop(ctx context.Context, w cluster.Want, a netip.Addr, foreign string) error {
	_, err := b.ask(ctx, &ask{want: w, disown: &disown{cluster.KeyOf(w.Space, a), a, w.Owner, foreign}})
	return err
}

// ask waits for the answer. If ctx ends first, an address may have been taken none the less: Release gives it back.
func (b *Book) ask(ctx context.Context, a *ask) (netip.Addr, error) {
	a.answer = make(chan struct{})
	b.mu.Lock()
	b.waiting = append(b.waiting, a)
	lead := !b.busy
	b.busy = true
	b.mu.Unlock()
	if lead {
		go b.answerAll()
	}
	select {
	case <-a.answer:
		return a.got, a.err
	case <-ctx.Done():
		return netip.Addr{}, fmt.Errorf("wait for addresses of the cluster: %w", context.Cause(ctx))
	}
}

// answerAll works until none waits.
func (b *Book) answerAll() {
	for {
		b.mu.Lock()
		asks := b.waiting
		b.waiting = nil
		if len(asks) == 0 {
			b.busy = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		b.serve(ctx, asks)
		cancel()
	}
}

// rounds is how often other agents may be first before it is an error.
const rounds = 50

// serve answers asks together.
func (b *Book) serve(ctx context.Context, asks []*ask) {
	b.work.Lock()
	defer b.work.Unlock()
	for range rounds {
		if len(asks) == 0 {
			return
		}
		if err := b.readAll(ctx, false); err != nil {
			finish(asks, err)
			return
		}
		p := newPlan(b)
		var placed []*ask
		for _, a := range asks {
			if err := p.place(ctx, a); err != nil {
				finish([]*ask{a}, err)
			} else {
				placed = append(placed, a)
			}
		}
		again, failed := map[*ask]bool{}, map[*ask]error{}
		for _, c := range p.changes {
			retry, err := b.write(ctx, c)
			for _, a := range c.asks {
				again[a] = again[a] || retry
				failed[a] = errors.Join(failed[a], err)
			}
		}
		asks = nil
		for _, a := range placed {
			if again[a] && failed[a] == nil {
				asks = append(asks, a)
			} else {
				finish([]*ask{a}, failed[a])
			}
		}
	}
	finish(asks, errors.New("other nodes change the blocks of this range faster than this one can follow: try again"))
}

func finish(asks []*ask, err error) {
	for _, a := range asks {
		a.err = err
		close(a.answer)
	}
}

// readAll reads all blocks; unless again is set only if that was never done.
func (b *Book) readAll(ctx context.Context, again bool) error {
	if b.known.complete && !again {
		return nil
	}
	var list v1alpha1.AddressBlockList
	err := b.blocks.List(ctx, "", &list)
	if err != nil && !apierrors.IsNotFound(err) { // without the CRD there are none
		return fmt.Errorf("list AddressBlocks: %w", err)
	}
	b.known = newKnown()
	b.known.complete = true
	for i := range list.Items {
		if err := b.known.put(&list.Items[i]); err != nil {
			b.log.Warn("an AddressBlock makes no sense, so its addresses are not given", "error", err)
		}
	}
	return nil
}

// write makes a change of one block. again: another agent was first, and the block has been read anew.
func (b *Book) write(ctx context.Context, c *change) (again bool, err error) {
	if c.block.Empty() && c.object == nil {
		return false, nil
	}
	name := c.block.Name()
	var verb string
	switch o := block.Write(c.block, c.object); {
	case c.object == nil:
		verb = "create"
		if err = b.blocks.Create(ctx, o); err == nil {
			return false, b.known.put(o)
		}
	case c.block.Empty() && (c.block.Node == b.node || c.block.Node == ""):
		verb = "delete"
		if err = b.blocks.Delete(ctx, o); err == nil || apierrors.IsNotFound(err) {
			b.known.remove(c.block.Key)
			return false, nil
		}
	default:
		verb = "update"
		if err = b.blocks.Update(ctx, o); err == nil {
			return false, b.known.put(o)
		}
	}
	err = fmt.Errorf("%s AddressBlock %s: %w", verb, name, err)
	// What the API server has now is not known, whatever the error: a write may have been made and its answer lost.
	have, readErr := b.blocks.Get(ctx, "", name)
	switch {
	case readErr == nil:
		readErr = b.known.put(have)
	case apierrors.IsNotFound(readErr):
		b.known.remove(c.block.Key)
		readErr = nil
	}
	if readErr != nil {
		b.known.complete = false
		return false, errors.Join(err, readErr)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) && verb != "create" {
		return true, nil
	}
	return false, err
}
