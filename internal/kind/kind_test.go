package kind

import (
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/deploy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestEntriesAreWhole(t *testing.T) {
	tables, _ := table.New()
	rows := NewRows(tables, "n1", nil)
	seen := map[string]bool{}
	for i := range All {
		k := &All[i]
		if seen[k.Name] {
			t.Errorf("%s stands twice", k.Name)
		}
		seen[k.Name] = true
		gvks, _, err := Scheme().ObjectKinds(k.New())
		if err != nil || !slices.Contains(gvks, k.WithKind(k.Name)) {
			t.Errorf("%s: its Go type is that of %v (%v)", k.Name, gvks, err)
		}
		if _, err := Scheme().New(k.WithKind(k.Name + "List")); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		if k.Is(Agent|Inventory|Files) != (k.fill != nil) || k.Is(Agent) != (rows.Of(k) != nil) {
			t.Errorf("%s: who reads it and whether it makes rows do not agree", k.Name)
		}
		if k.IsPolicy() && !(k.Is(Webhook) && k.Is(Lint)) {
			t.Errorf("%s: policies are reviewed and checked", k.Name)
		}
		if k.IsPolicy() && Policy(k.New()).Kind != k.Name {
			t.Errorf("%s is read as a %s", k.Name, Policy(k.New()).Kind)
		}
		if k.Metadata&^k.Readers != 0 {
			t.Errorf("%s: who does not read it reads no metadata", k.Name)
		}
		for _, version := range append(k.Also, k.GroupVersion.String()) {
			if Find(version, k.Name) != k {
				t.Errorf("%s %s is not found", version, k.Name)
			}
		}
	}
	if Find("v1", "CiliumNode") != nil || Find("v1", "Secret") != nil {
		t.Error("a kind is found in another group, or one that is not there")
	}
}

func TestKindsThatHaveCRDsAreThoseOfTheChart(t *testing.T) {
	entries, err := deploy.Chart.ReadDir("chart/crds")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{ // of sinks, which read and write them by themselves
		"k8s.cni.cncf.io_ipamclaims.yaml", "weftnet.io_addressblocks.yaml", "weftnet.io_stickyaddresses.yaml",
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	for i := range All {
		if file := All[i].CRD(); file != "" {
			want = append(want, file)
		}
	}
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the chart has %s; the registry %s", strings.Join(have, " "), strings.Join(want, " "))
	}
}

func TestATableIsSyncedAfterTheFirstListOfEachKindThatFillsIt(t *testing.T) {
	tables, db := table.New()
	rows := NewRows(tables, "n1", nil)
	left := map[string]int{}
	for k := range ReadBy(Agent) {
		left[rows.Of(k).fills().Name()]++
	}
	err := db.Write(func(tx *state.Tx) error {
		for k := range ReadBy(Agent) {
			f := rows.Of(k)
			f.Replace(tx, nil)
			f.Replace(tx, nil) // a second list of one kind is no list of another
			name := f.fills().Name()
			left[name]--
			if have := f.fills().(interface{ IsSynced(state.Reader) bool }).IsSynced(tx); have != (left[name] == 0) {
				t.Errorf("after the list of %s, which leaves %d kinds, table %s is synced: %v", k.Name, left[name], name, have)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
