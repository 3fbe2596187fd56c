package scripttest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"weftnet.io/weftnet/internal/state"
)

type guest struct{ Name, Room, Mood string }

func (guest) Header() []string { return []string{"NAME", "ROOM", "MOOD"} }
func (g guest) Row() []string  { return []string{g.Name, g.Room, g.Mood} }

var guests = state.NewTable("guests", func(g guest) state.Key { return state.Join(g.Name) })

// hotel is a bench: a file has a guest per line, who arrives a moment later.
type hotel struct {
	db     *state.DB
	broken map[string]float64
}

func (h *hotel) DB() *state.DB { return h.db }

func (h *hotel) Apply(_ string, text []byte) error {
	for line := range strings.Lines(string(text)) {
		var g guest
		if _, err := fmt.Sscan(line, &g.Name, &g.Room, &g.Mood); err != nil {
			return fmt.Errorf("guest %q: %w", strings.TrimSpace(line), err)
		}
		if h.broken["door"] == 1 {
			return fmt.Errorf("guest %s: the door is stuck", g.Name)
		}
		go func() { _ = h.db.Write(func(tx *state.Tx) error { guests.Put(tx, g); return nil }) }()
	}
	return nil
}

func (h *hotel) Restart(what string) error {
	if what != "agent" {
		return fmt.Errorf("there is no %s", what)
	}
	h.db = state.New(guests)
	return nil
}

func (h *hotel) Fail(sink string, share float64) error {
	h.broken[sink] = share
	return nil
}

func TestScripts(t *testing.T) {
	start := func(*testscript.Env) (Bench, error) {
		return &hotel{db: state.New(guests), broken: map[string]float64{}}, nil
	}
	Run(t, "testdata", start, map[string]Command{
		"broken": func(ts *testscript.TestScript, args []string) error {
			_, err := fmt.Fprintln(ts.Stdout(), BenchOf(ts).(*hotel).broken[args[0]])
			return err
		},
	})
}

func TestATableThatDoesNotComeIsShownAsADifference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := state.New(guests)
		_ = db.Write(func(tx *state.Tx) error { guests.Put(tx, guest{"bob", "7", ""}); return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := awaitTable(ctx, db, "guests", "want", "NAME ROOM MOOD\n\nbob 8 -\n")
		if err == nil || !strings.Contains(err.Error(), "\n-bob  8  -\n+bob  7  -\n") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAMistakeInAScriptIsNamed(t *testing.T) {
	db := state.New(guests)
	for want, args := range map[string][2]string{
		"there is no table gusts: there are guests":                     {"gusts", "NAME\n"},
		"want: table guests has no column AGE: it has NAME, ROOM, MOOD": {"guests", "NAME AGE\n"},
	} {
		if err := awaitTable(t.Context(), db, args[0], "want", args[1]); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
