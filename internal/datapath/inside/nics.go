package inside

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
)

// NICs are those whose programs an agent has attached. Each NIC has programs of its own, which know it as a constant.
type NICs struct {
	dir  string // where links are pinned
	load Load

	mu   sync.Mutex // guards all below, and is held while programs are attached
	have map[Place]abi.NicConfig
}

// Load loads a program of one NIC, and tells whether it attaches by tcx.
type Load func(program string, config abi.NicConfig) (byName map[string]*ebpf.Program, tcx bool, err error)

// New knows of none.
func New(dir string, load Load) *NICs {
	return &NICs{dir: dir, load: load, have: map[Place]abi.NicConfig{}}
}

// Attach puts programs on a NIC, or in the place of those that an earlier agent has left there.
func (n *NICs) Attach(at Place, config abi.NicConfig) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.attach(at, config); err != nil {
		return err
	}
	n.have[at] = config
	return nil
}

func (n *NICs) attach(at Place, config abi.NicConfig) error {
	programs, byTCX := map[string]*ebpf.Program{}, false
	defer func() {
		for _, p := range programs {
			p.Close() // what is attached holds them
		}
	}()
	for _, name := range Programs {
		one, tcx, err := n.load(name, config)
		if err != nil {
			return err
		}
		maps.Copy(programs, one)
		byTCX = tcx
	}
	return attach(n.dir, at, programs, byTCX)
}

// Detach takes the programs of a NIC away. It is no error if there are none.
func (n *NICs) Detach(number uint32) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.have, func(at Place, _ abi.NicConfig) bool { return at.Number == number })
	return detach(n.dir, number)
}

// List gives the NICs whose programs are attached, and the numbers of those that an earlier agent has left.
func (n *NICs) List() (own map[Place]abi.NicConfig, earlier []uint32, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	numbers, err := linked(n.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list programs in workloads' namespaces: %w", err)
	}
	is := map[uint32]bool{}
	for at := range n.have {
		is[at.Number] = true
	}
	for _, number := range numbers {
		if !is[number] {
			earlier = append(earlier, number)
		}
	}
	return maps.Clone(n.have), earlier, nil
}

// Replace loads and attaches the programs of all anew: their configuration has changed.
func (n *NICs) Replace() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for at, config := range n.have {
		if err := n.attach(at, config); err != nil {
			errs = append(errs, fmt.Errorf("replace the programs of %s in %s: %w", at.Interface, at.Netns, err))
		}
	}
	return errors.Join(errs...)
}
