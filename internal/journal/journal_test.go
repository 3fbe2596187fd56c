package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"weftnet.io/weftnet/internal/journal"
)

type fact struct{ Text string }

func (f fact) Valid() error {
	if f.Text == "" {
		return fmt.Errorf("it says nothing")
	}
	return nil
}

func TestWhatWasPutIsThereUntilItIsDeleted(t *testing.T) {
	d := journal.Dir[fact]{Path: t.TempDir() + "/made/when/needed"}
	if records, damaged, err := d.All(); len(records)+len(damaged) != 0 || err != nil {
		t.Errorf("a folder that is not there has %v, %v, %v", records, damaged, err)
	}
	for _, text := range []string{"one", "two"} {
		if err := d.Put("a", fact{text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Put("b", fact{"three"}); err != nil {
		t.Fatal(err)
	}
	if records, damaged, err := d.All(); fmt.Sprint(records, damaged, err) != "[{a {two}} {b {three}}] [] <nil>" {
		t.Errorf("records are %v, %v, %v", records, damaged, err)
	}
	for range 2 {
		if err := d.Delete("a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := d.One("a"); ok || err != nil {
		t.Errorf("a deleted record is there: %v", err)
	}
}

func TestDamagedFilesAreMovedAsideAndUnfinishedOnesSwept(t *testing.T) {
	d := journal.Dir[fact]{Path: t.TempDir()}
	if err := d.Put("good", fact{"x"}); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"empty.json": "", "cut.json": `{"Te`, "null.json": "null", "huge.json": strings.Repeat(" ", 2<<20), ".tmp-cut.json-1": "{", "notes.txt": "keep"} {
		if err := os.WriteFile(filepath.Join(d.Path, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := d.One("cut"); err == nil || !strings.Contains(err.Error(), d.Path+"/cut.json") {
		t.Errorf("a damaged record was read: %v", err)
	}
	records, damaged, err := d.All()
	if len(records) != 1 || len(damaged) != 4 || err != nil {
		t.Errorf("%v, %v, %v", records, damaged, err)
	}
	if _, damaged, _ := d.All(); len(damaged) != 0 {
		t.Errorf("reported again: %v", damaged)
	}
	files, _ := filepath.Glob(d.Path + "/*")
	hidden, _ := filepath.Glob(d.Path + "/.tmp*")
	if len(files) != 6 || len(hidden) != 0 {
		t.Errorf("the folder holds %v, %v", files, hidden)
	}
}

func TestARecordIsWrittenThoughAnotherProcessSweepsMeanwhile(t *testing.T) {
	d := journal.Dir[fact]{Path: t.TempDir()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			if err := d.Put("a", fact{"x"}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for swept := false; !swept; {
		if _, _, err := d.All(); err != nil {
			t.Error(err)
		}
		select {
		case <-done:
			swept = true
		default:
		}
	}
}

func TestADiskThatTakesNothingLeavesWhatWasThere(t *testing.T) {
	d := journal.Dir[fact]{Path: t.TempDir()}
	if err := d.Put("a", fact{"old"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.Path+"/b.json", 0o700); err != nil { // nothing can be renamed to it
		t.Fatal(err)
	}
	if err := d.Put("b", fact{"new"}); err == nil || !strings.Contains(err.Error(), "b.json") {
		t.Errorf("error is %v", err)
	}
	if hidden, _ := filepath.Glob(d.Path + "/.tmp*"); len(hidden) != 0 {
		t.Errorf("left behind: %v", hidden)
	}
}

func TestNoTwoAttachmentsShareARecord(t *testing.T) {
	id := rapid.StringMatching(`[a-z0-9][a-c.\-]{0,3}`)
	ifname := rapid.StringMatching(`[a-c.\-%]{1,4}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c, d := id.Draw(t, "id"), ifname.Draw(t, "if"), id.Draw(t, "other id"), ifname.Draw(t, "other if")
		if (a != c || b != d) && journal.Name(a, b) == journal.Name(c, d) {
			t.Fatalf("%s", journal.Name(a, b))
		}
	})
	if got := journal.Name("c1", "eth0"); got != "c1-eth0" {
		t.Errorf("got %s", got)
	}
	if got := journal.Name(strings.Repeat("x", 10000), "eth0"); len(got) > 200 {
		t.Errorf("got %s", got)
	}
}
