// Package bpfmap writes desired tables into the kernel's maps: ipcache, NICs, policy sets, services.
//
// Each sink owns one table and the maps behind it and implements reconcile.Sink. What a packet could see half done is
// ordered: backends before slots before heads; a policy set as a whole new generation that one store puts in force; and
// whatever changes a verdict is followed by a new revision, so that connections that rest on the old one are asked
// again (bpf/lib/policy.h). Numbers that maps refer to (services, backends, sets, generations) are read back from the
// maps at start and never given to another while the old owner may still be meant.
package bpfmap

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// Maps finds pinned maps by name; datapath.Datapath is one.
type Maps interface{ Map(name string) *ebpf.Map }

// Written are the maps that the agent writes and programs read; datapath.Datapath is one. While programs of before read former maps of these
// names, what is written goes into those, too.
type Written interface {
	Put(name string, key, value any) error
	Delete(name string, key any) error
	// Read gives a map as it is. do must not write.
	Read(name string, do func(m *ebpf.Map) error) error
}

// Revisions is the node-wide counter that orders changes against verdicts. Safe for concurrent use.
type Revisions struct {
	mu    sync.Mutex
	node  *ebpf.Map
	peers *ebpf.Map
}

// NewRevisions works on the maps revision and peer_revisions.
func NewRevisions(m Maps) *Revisions {
	return &Revisions{node: m.Map("revision"), peers: m.Map("peer_revisions")}
}

// Next raises the counter and returns its new value.
func (r *Revisions) Next() (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next()
}

func (r *Revisions) next() (uint64, error) {
	var now uint64
	if err := r.node.Lookup(uint32(0), &now); err != nil {
		return 0, fmt.Errorf("read revision: %w", err)
	}
	now++
	if err := r.node.Put(uint32(0), now); err != nil {
		return 0, fmt.Errorf("raise revision: %w", err)
	}
	return now, nil
}

// Peers makes every remembered verdict about these addresses, and each path to them, be asked again. A nil list means all addresses.
func (r *Revisions) Peers(addrs []abi.IpcacheKey) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := r.next()
	if err != nil {
		return err
	}
	var errs []error
	put := func(bucket uint32) { errs = append(errs, r.peers.Put(bucket, now)) }
	if addrs == nil {
		for b := range uint32(abi.RevisionBuckets) {
			put(b)
		}
	}
	for _, a := range addrs {
		put(bucket(a))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("raise peer revision: %w", err)
	}
	return nil
}

// bucket is revision_bucket of bpf/lib/policy.h: the words of an address as the processor loads them, and its network.
func bucket(k abi.IpcacheKey) uint32 {
	a := k.Addr
	w := func(i int) uint32 {
		return uint32(a[i]) | uint32(a[i+1])<<8 | uint32(a[i+2])<<16 | uint32(a[i+3])<<24
	}
	h := w(0)*abi.AddrMix0 ^ w(4)*abi.AddrMix1 ^ w(8)*abi.AddrMix2 ^ w(12)*abi.AddrMix3 ^ k.Net
	h ^= h >> 15
	h *= abi.AddrMixAll
	h ^= h >> 12
	return h % abi.RevisionBuckets
}

// missing tells whether a map operation failed because the key is not there.
func missing(err error) bool { return errors.Is(err, ebpf.ErrKeyNotExist) }
