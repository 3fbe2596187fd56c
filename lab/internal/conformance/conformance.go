// Package conformance runs the official Kubernetes end-to-end tests against the lab and says in one line what came of it.
//
// The test binary is e2e.test of the same Kubernetes release, spread over processes by ginkgo. A run that selects no test is a
// failure: a misspelt expression must not look like success.
package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Run is one selection of tests.
type Run struct {
	Focus, Skip string // regular expressions over test names; empty skips nothing
	Procs       int    // parallel processes
	Nodes       int
	Timeout     time.Duration
	Bin         string // folder with ginkgo, e2e.test and kubectl
	Kubeconfig  string
	Report      string // folder for the reports
}

func (r Run) args(report string) []string {
	args := []string{
		"--procs=" + strconv.Itoa(r.Procs), "--focus=" + r.Focus, "--no-color", "--succinct", "--silence-skips", "--timeout=" + r.Timeout.String(),
		"--output-dir=" + r.Report, "--json-report=" + report,
	}
	if r.Skip != "" {
		args = append(args, "--skip="+r.Skip)
	}
	return append(args, filepath.Join(r.Bin, "e2e.test"), "--",
		"--kubeconfig="+r.Kubeconfig, "--provider=skeleton", "--kubectl-path="+filepath.Join(r.Bin, "kubectl"),
		"--num-nodes="+strconv.Itoa(r.Nodes), "--minStartupPods=0", "--prepull-images=false", "--dump-logs-on-failure=false",
		"--report-dir="+r.Report)
}

// Execute runs the tests, with their output on out, and fails if one fails or none ran.
func (r Run) Execute(ctx context.Context, out io.Writer) error {
	if err := os.MkdirAll(r.Report, 0o755); err != nil {
		return err
	}
	const name = "e2e.json"
	report := filepath.Join(r.Report, name)
	if err := os.Remove(report); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	begin := time.Now()
	cmd := exec.CommandContext(ctx, filepath.Join(r.Bin, "ginkgo"), r.args(name)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.Report, out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets tests delete their namespaces
	runErr := cmd.Run()
	b, err := os.ReadFile(report)
	if err != nil {
		return fmt.Errorf("the tests ended without a report: %w", errors.Join(runErr, err))
	}
	result, err := summarize(b)
	if err != nil {
		return fmt.Errorf("read %s: %w", report, err)
	}
	fmt.Fprintf(out, "\n%s in %s\n", result, time.Since(begin).Round(time.Second))
	switch {
	case len(result.Failed) > 0:
		return fmt.Errorf("%d of %d tests failed", len(result.Failed), result.Ran())
	case result.Ran() == 0 && runErr != nil:
		return fmt.Errorf("the tests were cut short: %s", runErr) // not wrapped: its status is not ours
	case result.Ran() == 0:
		return fmt.Errorf("no test matches --focus %q --skip %q", r.Focus, r.Skip)
	case runErr != nil:
		return fmt.Errorf("the tests passed, but ginkgo: %s", runErr)
	}
	return nil
}

// Result counts outcomes.
type Result struct {
	Passed  int
	Failed  []string // name and first line of the message
	Skipped int      // selected, but skipped by the test itself
}

// Ran is how many tests came to a verdict.
func (r Result) Ran() int { return r.Passed + len(r.Failed) }

func (r Result) String() string {
	s := fmt.Sprintf("e2e: %d passed, %d failed, %d skipped themselves", r.Passed, len(r.Failed), r.Skipped)
	for _, f := range r.Failed {
		s += "\n  FAILED " + f
	}
	return s
}

// summarize reads ginkgo's JSON report. Tests that the selection left out appear in it as skipped, without a message.
func summarize(report []byte) (Result, error) {
	var suites []struct {
		SpecReports []struct {
			ContainerHierarchyTexts []string
			LeafNodeText            string
			LeafNodeType            string
			State                   string
			Failure                 struct{ Message string }
		}
	}
	if err := json.Unmarshal(report, &suites); err != nil {
		return Result{}, err
	}
	var r Result
	for _, suite := range suites {
		for _, s := range suite.SpecReports {
			first, _, _ := strings.Cut(s.Failure.Message, "\n")
			switch s.State {
			case "passed":
				if s.LeafNodeType == "It" {
					r.Passed++
				}
			case "skipped", "pending":
				if first != "" {
					r.Skipped++
				}
			default:
				name := strings.Join(append(s.ContainerHierarchyTexts, s.LeafNodeText), " ")
				r.Failed = append(r.Failed, strings.TrimSpace(name)+": "+first)
			}
		}
	}
	return r, nil
}
