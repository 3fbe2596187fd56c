package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/state/listing"
	"weftnet.io/weftnet/internal/table"
)

func show[R state.Row](t *state.Table[R], db *state.DB) string {
	var b strings.Builder
	if err := listing.Write(&b, t, db.Snapshot()); err != nil {
		panic(err)
	}
	return b.String()
}

func set(t *table.Tables, db *state.DB, name, value string) {
	err := db.Write(func(tx *state.Tx) error {
		if value == "" {
			t.Settings.Delete(tx, state.Join(name))
		} else {
			t.Settings.Put(tx, table.Setting{Name: name, Value: value})
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
}

func TestAKeyThatSaysNothingNewChangesNothing(t *testing.T) {
	tables, db := table.New()
	d := New(tables)
	set(tables, db, "routing-mode", "native")
	d.Step(db)
	for name, value := range map[string]string{"routing-mode": " native ", "tunnel": "disabled", "mtu": "0", "enable-wireguard": "true", "no-such-key": "1"} {
		set(tables, db, name, value)
		if d.Step(db) {
			t.Errorf("%s=%s changes what is read:\n%s", name, value, show(tables.Configs, db))
		}
	}
	if set(tables, db, "mtu", "9000"); !d.Step(db) || tables.Config(db.Snapshot()).MTU != 9000 {
		t.Errorf("mtu is not read:\n%s", show(tables.Configs, db))
	}
	if c := tables.Config(db.Snapshot()); c.Routing != "native" || c.ClusterName != "default" {
		t.Errorf("all together is %+v", c)
	}
}

func TestConfigurationDoesNotDependOnTheOrderOfEvents(t *testing.T) {
	keys := []string{"routing-mode", "tunnel", "enable-ipv6", "labels", "mtu", "policy-audit-mode", "x"}
	rapid.Check(t, func(rt *rapid.T) {
		tables, db := table.New()
		d := New(tables)
		for range rapid.IntRange(1, 20).Draw(rt, "events") {
			set(tables, db, rapid.SampledFrom(keys).Draw(rt, "key"), rapid.SampledFrom([]string{"", "disabled", "native", "true", "9000", "["}).Draw(rt, "value"))
			if rapid.Bool().Draw(rt, "step") {
				d.Step(db)
			}
		}
		d.Step(db)
		fresh, freshDB := table.New()
		for s := range tables.Settings.All(db.Snapshot()) {
			set(fresh, freshDB, s.Name, s.Value)
		}
		New(fresh).Step(freshDB)
		if diff := cmp.Diff(show(fresh.Configs, freshDB), show(tables.Configs, db)); diff != "" {
			rt.Fatalf("the path matters (-from scratch +along the path):\n%s", diff)
		}
	})
}
