package feature

import (
	"io"
	"log/slog"
	"testing"

	"weftnet.io/weftnet/internal/datapath/object"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

func TestEveryTableIsOfOneFeature(t *testing.T) {
	tables, db := table.New()
	of := map[string]string{status.Statuses.Name(): "every loop"}
	for _, f := range All() {
		if f.Name == "" || f.Does == "" {
			t.Errorf("feature %q does not say what it does", f.Name)
		}
		if f.Fills == nil {
			continue
		}
		for _, one := range f.Fills(tables) {
			if other := of[one.Name()]; other != "" {
				t.Errorf("table %s is of %s and of %s", one.Name(), other, f.Name)
			}
			of[one.Name()] = f.Name
		}
	}
	for _, one := range db.Tables() {
		if of[one.Name()] == "" {
			t.Errorf("no feature fills table %s: name it in Fills", one.Name())
		}
	}
}

func TestDerivationsOfAllFeaturesStandOnOneDatabase(t *testing.T) {
	tables, db := table.New()
	n := &Node{Name: "n1", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Tables: tables, DB: db}
	for _, together := range Derivations(n) {
		for _, d := range together {
			d.Step(db) // panics if a table of it is in no database
		}
	}
}

func TestConstantsOfFeaturesAreVariablesOfPrograms(t *testing.T) {
	tables, db := table.New()
	for _, f := range All() {
		if f.Constants == nil {
			continue
		}
		variable, _, value := f.Constants(tables)
		taken := 0
		for _, name := range object.Names() {
			spec, err := object.Spec(name)
			if err != nil {
				t.Fatal(err)
			}
			v := spec.Variables[variable]
			if v == nil {
				continue
			}
			if err := v.Set(value(db.Snapshot())); err != nil {
				t.Errorf("feature %s: variable %s of %s: %v", f.Name, variable, name, err)
			}
			taken++
		}
		if taken == 0 {
			t.Errorf("feature %s tells programs %s, which is a variable of none", f.Name, variable)
		}
	}
}
