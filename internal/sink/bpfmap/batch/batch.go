// Package batch reads and writes many rows of the kernel's maps by one system call.
//
// # The world it models
//
// A new node has a hundred thousand rows to write, most of them of frontends that no packet has met. Whether one frontend's rows are there
// before another's matters to none of them: only that what a row names is there before the row is. So the rows of many frontends are put
// off, and then written map by map.
//
//	row by row    backend slot slot head  backend slot head
//	together      backend backend  slot slot slot  head head
//
// # Invariants
//
//   - Of rows that are put off none of a later map is written before all of an earlier one are.
//   - If not all of them can be written, which ones are there is not known: who put them takes them back, and puts them one by one.
//
// # Example
//
//	w := batch.New(datapath, "backends", "slots", "services")
//	err := w.Together(func() error { return errors.Join(w.Put("services", key, head), w.Put("backends", id, backend)) })
//	err = batch.Each(w.Map("backends"), func(id uint32, b abi.Backend) { … })
package batch

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/cilium/ebpf"
)

// atOnce is how many rows one system call has at most: a buffer that stays small beside the agent.
const atOnce = 1024

// Maps writes maps by name; datapath.Datapath does.
type Maps interface {
	Map(name string) *ebpf.Map
	Put(name string, key, value any) error
	PutAll(name string, keys, values any) error // of slices
	Delete(name string, key any) error
}

// Writer writes each row when it is put, but inside Together.
type Writer struct {
	Maps
	order []string // maps whose rows may be put off

	off  bool
	rows map[string]*rows // that are put off
}

// rows are slices of keys and values of what types the map has.
type rows struct{ keys, values reflect.Value }

// New puts rows of these maps off inside Together, and writes them in this order. Rows of other maps are never put off.
func New(m Maps, order ...string) *Writer {
	w := &Writer{Maps: m, order: order, rows: map[string]*rows{}}
	for _, name := range order {
		w.rows[name] = &rows{}
	}
	return w
}

// Put writes a row, or puts it off: an error is then that of Together.
func (w *Writer) Put(name string, key, value any) error {
	of := w.rows[name]
	if !w.off || of == nil {
		return w.Maps.Put(name, key, value)
	}
	k, v := reflect.ValueOf(key), reflect.ValueOf(value)
	if !of.keys.IsValid() {
		of.keys, of.values = reflect.MakeSlice(reflect.SliceOf(k.Type()), 0, atOnce), reflect.MakeSlice(reflect.SliceOf(v.Type()), 0, atOnce)
	}
	of.keys, of.values = reflect.Append(of.keys, k), reflect.Append(of.values, v)
	return nil
}

// Together puts off what do puts, and writes it when do returns nil; else none of it is written. do must delete nothing that it puts.
func (w *Writer) Together(do func() error) error {
	w.off = true
	err := do()
	w.off = false
	for _, name := range w.order {
		if err == nil {
			err = w.write(name)
		}
		*w.rows[name] = rows{}
	}
	return err
}

func (w *Writer) write(name string) error {
	of := w.rows[name]
	for from := 0; of.keys.IsValid() && from < of.keys.Len(); from += atOnce {
		to := min(from+atOnce, of.keys.Len())
		if err := w.PutAll(name, of.keys.Slice(from, to).Interface(), of.values.Slice(from, to).Interface()); err != nil {
			return fmt.Errorf("write %d rows of map %s: %w", to-from, name, err)
		}
	}
	return nil
}

// Each reads all rows of a hash map or an array (Linux 5.6). What is put or deleted meanwhile may be seen or not.
func Each[K, V any](m *ebpf.Map, row func(K, V)) error {
	keys, values := make([]K, atOnce), make([]V, atOnce)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		for i := range n {
			row(keys[i], values[i])
		}
		if err != nil {
			return nil
		}
	}
}
