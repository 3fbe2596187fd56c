package datapath

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"weftnet.io/weftnet/internal/datapath/layout"
	"weftnet.io/weftnet/internal/datapath/object"
	"weftnet.io/weftnet/internal/datapath/shelf"
)

// other is the specification of a map with its values' fields in another order, and one that no version knows any more.
func other(t *testing.T, r *rand.Rand, name string) *ebpf.MapSpec {
	t.Helper()
	spec, err := object.Spec("from_pod")
	if err != nil {
		t.Fatal(err)
	}
	m := spec.Maps[name].Copy()
	m.Pinning = ebpf.PinNone
	value := *btf.UnderlyingType(m.Value).(*btf.Struct)
	members := slices.Clone(value.Members)
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	lost := btf.Member{Name: "lost", Type: &btf.Int{Name: "unsigned long", Size: 8}}
	members = slices.Insert(members, r.IntN(len(members)), lost)
	var offset uint32
	for i := range members {
		size, err := btf.Sizeof(members[i].Type)
		if err != nil {
			t.Fatal(err)
		}
		members[i].Offset = btf.Bits(offset * 8)
		offset += uint32(size+7) / 8 * 8
	}
	value.Members, value.Size = members, offset
	m.Value, m.ValueSize = &value, offset
	return m
}

// bytesOf are the fields of an entry by name.
func bytesOf(list []layout.Field, entry []byte) map[string]string {
	out := map[string]string{}
	for _, f := range list {
		if f.Name != "lost" && f.Name != "pad" && f.Name != "pad2" {
			out[f.Name] = fmt.Sprintf("%x", entry[f.Offset:f.Offset+f.Size])
		}
	}
	return out
}

func random(r *rand.Rand, n uint32) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// left makes a directory as an agent of the other version would have left it, with n random entries.
func left(t *testing.T, r *rand.Rand, dir string, spec *ebpf.MapSpec, n int) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	if err := m.Pin(filepath.Join(dir, spec.Name)); err != nil {
		t.Fatal(err)
	}
	list, known, err := layout.OpenList(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	known[layout.IDOf(m)] = layout.Of(spec)
	if err := list.Write(known); err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := m.Put(random(r, spec.KeySize), random(r, spec.ValueSize)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestAMapOfAnotherShapeIsFilledFieldByField(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, name := range []string{"connections", "translations", "affinities", "fragments"} {
		t.Run(name, func(t *testing.T) {
			dir, spec := pinDirectory(t), other(t, r, name)
			old := left(t, r, dir, spec, 500)
			d, err := Open(dir, Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if got := d.Moving(); !slices.Equal(got, []string{name}) || len(d.Renewed()) > 0 {
				t.Fatalf("moving are %v, renewed %v; want %s to move and nothing to be lost", got, d.Renewed(), name)
			}
			// A former program learns something meanwhile.
			if err := old.Put(random(r, spec.KeySize), random(r, spec.ValueSize)); err != nil {
				t.Fatal(err)
			}
			if done, err := d.Follow(); err != nil || !done {
				t.Fatalf("follow: %v, %v", done, err)
			}
			was, is := layout.Of(spec), layout.Of(mapSpec(t, name))
			moved := map[string]string{}
			now := d.Map(name)
			entries(t, now, func(key, value []byte) { moved[string(key)] = fmt.Sprint(bytesOf(is.Value, value)) })
			entries(t, old, func(key, value []byte) {
				want := fmt.Sprint(bytesOf(was.Value, value))
				if moved[string(key)] != want {
					t.Errorf("entry %x: have %s, want %s", key, moved[string(key)], want)
				}
			})
			if d.Moving() != nil || shelf.Exists(filepath.Join(dir, name+shelf.Before)) {
				t.Error("the former map is still there")
			}
			again, err := Open(dir, Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if len(again.Moving()) > 0 || len(again.Renewed()) > 0 {
				t.Errorf("the next agent moves %v and renews %v", again.Moving(), again.Renewed())
			}
		})
	}
}

func entries(t *testing.T, m *ebpf.Map, f func(key, value []byte)) {
	t.Helper()
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	list := m.Iterate()
	for list.Next(&key, &value) {
		f(key, value)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
}

func mapSpec(t *testing.T, name string) *ebpf.MapSpec {
	t.Helper()
	spec, err := object.Spec("from_pod")
	if err != nil {
		t.Fatal(err)
	}
	return spec.Maps[name]
}

func TestAnAgentThatDiesOverAMoveLeavesItToTheNext(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	dir, spec := pinDirectory(t), other(t, r, "connections")
	old := left(t, r, dir, spec, 100)
	first, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	first.Close() // it died before the former programs were gone
	if err := old.Put(random(r, spec.KeySize), random(r, spec.ValueSize)); err != nil {
		t.Fatal(err)
	}
	second, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if done, err := second.Follow(); err != nil || !done {
		t.Fatalf("follow: %v, %v", done, err)
	}
	n := 0
	entries(t, second.Map("connections"), func(_, _ []byte) { n++ })
	if n != 101 {
		t.Errorf("%d connections, want 101", n)
	}
}

// A map that an earlier version pinned by another name is the same map, if its shape is; else its entries move.
func TestAMapOfAFormerNameIsTakenOver(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for name, was := range former {
		for _, shape := range []string{"same", "other"} {
			t.Run(name+" of the "+shape+" shape", func(t *testing.T) {
				dir, spec := pinDirectory(t), mapSpec(t, name).Copy()
				if shape == "other" {
					spec = other(t, r, name)
				}
				spec.Name, spec.Pinning = was, ebpf.PinNone
				old := left(t, r, dir, spec, 100)
				d, err := Open(dir, Config{})
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				if got := d.Renewed(); len(got) > 0 {
					t.Fatalf("renewed are %v, want nothing to be lost", got)
				}
				if same := layout.IDOf(d.Map(name)) == layout.IDOf(old); same != (shape == "same") {
					t.Errorf("the same map: %v", same)
				}
				if done, err := d.Follow(); err != nil || !done {
					t.Fatalf("follow: %v, %v", done, err)
				}
				keys := map[string]bool{}
				entries(t, d.Map(name), func(key, _ []byte) { keys[string(key)] = true })
				entries(t, old, func(key, _ []byte) {
					if !keys[string(key)] {
						t.Errorf("entry %x is lost", key)
					}
				})
				for _, pin := range []string{was, was + shelf.Before, name + shelf.Before} {
					if shelf.Exists(filepath.Join(dir, pin)) {
						t.Errorf("pin %s is still there", pin)
					}
				}
			})
		}
	}
}

// An agent of the former version died over a move: what it put aside is found by the new name.
func TestWhatWasPutAsideByAFormerNameIsMoved(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	dir, spec := pinDirectory(t), other(t, r, "ipcache")
	spec.Name = former["ipcache"] + shelf.Before
	left(t, r, dir, spec, 50)
	same := mapSpec(t, "ipcache").Copy()
	same.Name, same.Pinning = former["ipcache"], ebpf.PinNone
	left(t, r, dir, same, 50)
	d, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if done, err := d.Follow(); err != nil || !done {
		t.Fatalf("follow: %v, %v", done, err)
	}
	n := 0
	entries(t, d.Map("ipcache"), func(_, _ []byte) { n++ })
	if n != 100 {
		t.Errorf("%d entries, want 100", n)
	}
}

func TestAMapThatCannotBeReadBeginsEmptyAndIsNamed(t *testing.T) {
	dir := pinDirectory(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "connections", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Pin(filepath.Join(dir, "connections")); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := d.Renewed(); len(got) != 1 || got[0] != "connections" {
		t.Fatalf("renewed are %v, want connections alone", got)
	}
}

// Keys of translations, fragments and affinities had no network. Their rows are of the pod network, and stay what they were.
func TestRowsOfKeysWithoutANetworkAreMoved(t *testing.T) {
	number := func(size uint32) btf.Type { return &btf.Int{Name: "number", Size: size} }
	for name, tail := range map[string]btf.Member{ // what the key had where `net` is now
		"translations": {Name: "pad", Type: number(2), Offset: 38 * 8},
		"fragments":    {Name: "protocol", Type: number(4), Offset: 36 * 8},
		"affinities":   {Name: "pad", Type: number(4), Offset: 20 * 8},
	} {
		t.Run(name, func(t *testing.T) {
			dir, spec := pinDirectory(t), mapSpec(t, name).Copy()
			spec.Pinning = ebpf.PinNone
			key := *btf.UnderlyingType(spec.Key).(*btf.Struct)
			key.Members = slices.Clone(key.Members)
			at := slices.IndexFunc(key.Members, func(m btf.Member) bool { return m.Offset >= tail.Offset })
			key.Members = append(key.Members[:at], tail)
			spec.Key = &key
			old := left(t, rand.New(rand.NewPCG(7, 8)), dir, spec, 0)
			for i := range 100 {
				row := make([]byte, spec.KeySize)
				for j := range tail.Offset.Bytes() {
					row[j] = byte(i + int(j))
				}
				if name == "fragments" {
					row[36] = byte(i) // protocols are numbers of one byte
				}
				if err := old.Put(row, make([]byte, spec.ValueSize)); err != nil {
					t.Fatal(err)
				}
			}
			d, err := Open(dir, Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if got := d.Moving(); !slices.Equal(got, []string{name}) {
				t.Fatalf("moving are %v, want %s", got, name)
			}
			if done, err := d.Follow(); err != nil || !done {
				t.Fatalf("follow: %v, %v", done, err)
			}
			rows := map[string]bool{}
			entries(t, d.Map(name), func(key, _ []byte) { rows[string(key)] = true })
			entries(t, old, func(key, _ []byte) {
				if !rows[string(key)] {
					t.Errorf("the row of %x is lost", key)
				}
			})
		})
	}
}
