package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/goldentest"
)

// run runs a command line.
func run(t *testing.T, in string, get func(ctx context.Context, socket, path string, into any) error, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	c := Command(Environment{In: strings.NewReader(in), Out: &out, Err: &errs, Get: get})
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.ExecuteContext(t.Context())
	return out.String() + errs.String(), err
}

func isUsage(err error) bool {
	var u UsageError
	return errors.As(err, &u)
}

func TestCheckPrintsFindingsAndFailsOnErrors(t *testing.T) {
	out, err := run(t, "", nil, "check", "-f", "testdata/check", "--pod-cidr", "10.244.0.0/16")
	if err == nil || isUsage(err) {
		t.Error(err)
	} else {
		out += err.Error() + "\n"
	}
	goldentest.Equal(t, "testdata/check.txt", out)

	text, readErr := os.ReadFile("testdata/check/deny.yaml")
	if readErr != nil {
		t.Fatal(readErr)
	}
	out, err = run(t, string(text), nil, "check", "-f", "-", "-q", "-o", "json")
	if err != nil {
		t.Error(err)
	}
	goldentest.Equal(t, "testdata/check.json", out)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Policies != 1 || len(r.Findings) != 1 {
		t.Error(err, r)
	}
	if _, err = run(t, string(text), nil, "check", "-f", "-", "--fail-on", "warning"); err == nil || err.Error() != "1 warning, 1 hint about 1 policy" {
		t.Error(err)
	}
	if out, err = run(t, "# nothing\n", nil, "check", "-f", "-", "--fail-on", "hint"); err != nil || out != "nothing to say about 0 policies\n" {
		t.Error(out, err)
	}
}

func TestCommandLinesThatMakeNoSenseAreRefused(t *testing.T) {
	for _, line := range []string{"check", "check file.yaml", "check -f - -o yaml", "check -f - --pod-cidr x", "check -f - --fail-on never", "chek"} {
		if _, err := run(t, "", nil, strings.Fields(line)...); !isUsage(err) {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, line := range []string{"check -f nowhere.yaml", "check -f " + t.TempDir()} {
		if _, err := run(t, "", nil, strings.Fields(line)...); err == nil || isUsage(err) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
