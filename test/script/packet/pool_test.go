package packet

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/datapath"
)

// loaded is a datapath that one script uses, and then another: to verify the programs takes longer than all that a script does, and on
// emulated processors a hundred times as long.
type loaded struct {
	*datapath.Datapath
	dir string
	key string // what it was loaded with
}

// pool has the datapaths that no script uses now, by what they were loaded with. Their maps are as new.
var pool = struct {
	sync.Mutex
	free map[string][]*loaded
}{free: map[string][]*loaded{}}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, list := range pool.free {
		for _, l := range list {
			l.discard()
		}
	}
	os.Exit(code)
}

// load takes a datapath with this configuration out of the pool, or loads one.
func load(config datapath.Config) (*loaded, error) {
	key := fmt.Sprintf("%+v", config)
	pool.Lock()
	if list := pool.free[key]; len(list) > 0 {
		l := list[len(list)-1]
		pool.free[key] = list[:len(list)-1]
		pool.Unlock()
		return l, nil
	}
	pool.Unlock()
	dir, err := os.MkdirTemp("/sys/fs/bpf", "weft-packet-")
	if err != nil {
		return nil, fmt.Errorf("%w: mount a BPF file system: mount -t bpf bpf /sys/fs/bpf", err)
	}
	l := &loaded{dir: dir, key: key}
	if l.Datapath, err = datapath.Open(dir, config); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return l, nil
}

// giveBack empties a datapath for the next script. One whose programs were exchanged or stand on a device is not for others.
func (l *loaded) giveBack(changed bool) {
	if changed || l.empty() != nil {
		l.discard()
		return
	}
	pool.Lock()
	defer pool.Unlock()
	pool.free[l.key] = append(pool.free[l.key], l)
}

func (l *loaded) discard() {
	l.Close()
	os.RemoveAll(l.dir)
}

// empty makes all maps as they were when they were made.
func (l *loaded) empty() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if m := l.Map(e.Name()); m != nil {
			err = errors.Join(err, emptyMap(m))
		}
	}
	return err
}

func emptyMap(m *ebpf.Map) error {
	switch m.Type() {
	case ebpf.RingBuf: // who reads it next finds it read
		return nil
	case ebpf.PerCPUArray:
		cpus, err := ebpf.PossibleCPU()
		if err != nil {
			return err
		}
		zero := make([][]byte, cpus)
		for i := range zero {
			zero[i] = make([]byte, m.ValueSize())
		}
		for i := range m.MaxEntries() {
			err = errors.Join(err, m.Put(i, zero))
		}
		return err
	case ebpf.Array:
		keys := make([]uint32, m.MaxEntries())
		for i := range keys {
			keys[i] = uint32(i)
		}
		value := reflect.SliceOf(reflect.ArrayOf(int(m.ValueSize()), reflect.TypeFor[byte]()))
		_, err := m.BatchUpdate(keys, reflect.MakeSlice(value, len(keys), len(keys)).Interface(), nil)
		return err
	}
	var keys [][]byte
	for key, err := m.NextKeyBytes(nil); key != nil || err != nil; key, err = m.NextKeyBytes(key) {
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	for _, key := range keys {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}
