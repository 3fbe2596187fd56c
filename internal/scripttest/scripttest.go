// Package scripttest runs control scripts: tests of the whole agent without a kernel and without a cluster, written as
// text that a person of the trade reads without knowing the code. Input tables are filled from files, output tables are
// compared with files.
//
// # The world it models
//
// A script is a txtar archive: commands first, then the files they name. It drives a Bench, an agent whose sinks are
// fakes. Besides what testscript has (cmp, stdout, stderr, ! before a command that must fail) it knows:
//
//	apply FILE...      give the bench each file, in order
//	await TABLE FILE   wait until the table, printed, is what the file says; after 30 seconds show the difference
//	show TABLE         print the table, for stdout and cmp
//	restart agent      stop it and start it again: what survives is what the kernel and the API server keep
//	fail SINK 10%      let that share of the sink's calls fail from now on
//
// # Invariants
//
//   - Nothing sleeps. await looks when the table has changed, and only then.
//   - How columns are aligned does not count. A file whose first line names only some of the columns, in any order, is
//     compared with those.
//   - Every script has a bench of its own, and scripts run side by side.
//
// # Example
//
//	apply service.yaml
//	await frontends want
//
//	-- service.yaml --
//	...
//	-- want --
//	ADDRESS     PORT  BACKENDS
//	10.96.0.10  53    2
package scripttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/testscript"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/state/listing"
)

// Bench is what a script drives. It may also be a Restarter and a Failer; a script that needs what it is not, fails.
type Bench interface {
	// DB is the database of the agent that runs now.
	DB() *state.DB

	// Apply takes a file of a script, as kubectl apply would. The name tells what is in it, should that matter.
	Apply(name string, text []byte) error
}

// Restarter is a Bench that can stop what it runs ("agent") and start it again.
type Restarter interface {
	Restart(what string) error
}

// Failer is a Bench whose sinks can be made to fail: share is between 0 and 1.
type Failer interface {
	Fail(sink string, share float64) error
}

// Command is a further command of a script. Its error says what went wrong; a script may expect that with "!".
type Command func(ts *testscript.TestScript, args []string) error

// patience is how long await waits for a table to become what it should be.
const patience = 30 * time.Second

type benchKey struct{}

// Run runs every script of a folder and of the folders in it, by topic; no two have one name. start makes the bench of one script; what must be undone goes to env.Defer. more
// adds commands, or replaces those of this package.
func Run(t *testing.T, dir string, start func(env *testscript.Env) (Bench, error), more map[string]Command) {
	commands := map[string]Command{"apply": apply, "await": await, "show": show, "restart": restart, "fail": fail}
	maps.Copy(commands, more)
	files, err := Scripts(dir)
	if err != nil {
		t.Fatal(err)
	}
	params := testscript.Params{
		Files: files,
		Setup: func(env *testscript.Env) (err error) {
			env.Values[benchKey{}], err = start(env)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){},
	}
	for name, do := range commands {
		params.Cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) { finish(ts, name, neg, do(ts, args)) }
	}
	testscript.Run(t, params)
}

// Scripts are the paths of all scripts in a folder and in the folders in it. It is an error if there are none, or two of one
// name: a test is called as its script.
func Scripts(dir string) (files []string, err error) {
	byName := map[string]string{}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txtar" {
			return err
		}
		if other, ok := byName[filepath.Base(path)]; ok {
			return fmt.Errorf("two scripts have one name: %s and %s", other, path)
		}
		byName[filepath.Base(path)] = path
		files = append(files, path)
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no scripts in %s", dir)
	}
	return files, err
}

// finish ends a command: an error that the script expects is on stderr, for the next line to look at.
func finish(ts *testscript.TestScript, name string, neg bool, err error) {
	switch {
	case err != nil && neg:
		fmt.Fprintln(ts.Stderr(), err)
	case err != nil:
		ts.Fatalf("%s: %v", name, err)
	case neg:
		ts.Fatalf("%s: it succeeded, and should not", name)
	}
}

// BenchOf is the bench of a running script, for commands.
func BenchOf(ts *testscript.TestScript) Bench { return ts.Value(benchKey{}).(Bench) }

var errUsage = errors.New("wrong number of arguments: see the comment of package scripttest")

func apply(ts *testscript.TestScript, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	for _, name := range args {
		if err := BenchOf(ts).Apply(name, []byte(ts.ReadFile(name))); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func restart(ts *testscript.TestScript, args []string) error {
	b, ok := BenchOf(ts).(Restarter)
	switch {
	case len(args) != 1:
		return errUsage
	case !ok:
		return fmt.Errorf("this bench cannot restart anything")
	}
	return b.Restart(args[0])
}

func fail(ts *testscript.TestScript, args []string) error {
	b, ok := BenchOf(ts).(Failer)
	switch {
	case len(args) != 2:
		return errUsage
	case !ok:
		return fmt.Errorf("this bench has no sinks that could fail")
	}
	share, err := strconv.ParseFloat(strings.TrimSuffix(args[1], "%"), 64)
	if err != nil || !strings.HasSuffix(args[1], "%") || share < 0 || share > 100 {
		return fmt.Errorf("%q is no share: write it as 10%%", args[1])
	}
	return b.Fail(args[0], share/100)
}

func show(ts *testscript.TestScript, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	t, err := find(BenchOf(ts).DB(), args[0])
	if err != nil {
		return err
	}
	return listing.Write(ts.Stdout(), t, BenchOf(ts).DB().Snapshot())
}

func await(ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return awaitTable(ctx, BenchOf(ts).DB(), args[0], args[1], ts.ReadFile(args[1]))
}

func find(db *state.DB, name string) (state.AnyTable, error) {
	if t, ok := db.Table(name); ok {
		return t, nil
	}
	var names []string
	for _, t := range db.Tables() {
		names = append(names, t.Name())
	}
	slices.Sort(names)
	return nil, fmt.Errorf("there is no table %s: there are %s", name, strings.Join(names, ", "))
}

// awaitTable waits until a table prints as want says.
func awaitTable(ctx context.Context, db *state.DB, table, file, want string) error {
	t, err := find(db, table)
	if err != nil {
		return err
	}
	t, err = columns(t, want)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for {
		s := db.Snapshot()
		var got strings.Builder
		if err := listing.Write(&got, t, s); err != nil {
			return err
		}
		if plain(got.String()) == plain(want) {
			return nil
		}
		select {
		case <-t.WatchAll(s):
		case <-ctx.Done():
			return fmt.Errorf("%s is not what %s says:\n%s", table, file,
				diff.Diff("want "+file, []byte(plain(want)), "have "+table, []byte(plain(got.String()))))
		}
	}
}

// plain takes the alignment and empty lines out of a printed table.
func plain(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 {
			out.WriteString(strings.Join(f, "  ") + "\n")
		}
	}
	return out.String()
}

// some is a table with some of its columns.
type some struct {
	state.AnyTable
	at []int
}

// columns narrows a table to those that the first line of a file names.
func columns(t state.AnyTable, file string) (state.AnyTable, error) {
	first, _, _ := strings.Cut(plain(file), "\n")
	have := t.Header()
	if first == strings.TrimSpace(plain(strings.Join(have, " "))) {
		return t, nil
	}
	var at []int
	for _, name := range strings.Fields(first) {
		i := slices.Index(have, name)
		if i < 0 {
			return nil, fmt.Errorf("table %s has no column %s: it has %s", t.Name(), name, strings.Join(have, ", "))
		}
		at = append(at, i)
	}
	return some{t, at}, nil
}

type cells struct{ header, row []string }

func (c cells) Header() []string { return c.header }
func (c cells) Row() []string    { return c.row }

func (s some) pick(from []string) []string {
	out := make([]string, len(s.at))
	for i, at := range s.at {
		out[i] = from[at]
	}
	return out
}

// Header names the columns that are left.
func (s some) Header() []string { return s.pick(s.AnyTable.Header()) }

// Rows are the rows with the columns that are left.
func (s some) Rows(at *state.Snapshot) []state.Row {
	var rows []state.Row
	for _, r := range s.AnyTable.Rows(at) {
		rows = append(rows, cells{s.Header(), s.pick(r.Row())})
	}
	return rows
}
