package conformance

import (
	"strings"
	"testing"
)

const report = `[{"SpecReports": [
 {"LeafNodeType": "SynchronizedBeforeSuite", "State": "passed"},
 {"LeafNodeType": "It", "ContainerHierarchyTexts": ["[sig-network] DNS"], "LeafNodeText": "should resolve", "State": "passed"},
 {"LeafNodeType": "It", "ContainerHierarchyTexts": ["[sig-network] Services"], "LeafNodeText": "should serve", "State": "failed",
  "Failure": {"Message": "timed out\nlong story"}},
 {"LeafNodeType": "It", "LeafNodeText": "not selected", "State": "skipped"},
 {"LeafNodeType": "It", "LeafNodeText": "needs a cloud", "State": "skipped", "Failure": {"Message": "Only supported for providers"}}
]}]`

func TestTheReportIsCountedByTestsOnly(t *testing.T) {
	r, err := summarize([]byte(report))
	if err != nil {
		t.Fatal(err)
	}
	if r.Passed != 1 || r.Skipped != 1 || r.Ran() != 2 {
		t.Errorf("got %+v", r)
	}
	if !strings.Contains(r.String(), "FAILED [sig-network] Services should serve: timed out") {
		t.Errorf("got %s", r)
	}
}

func TestAFailedSuiteSetupCountsAsFailure(t *testing.T) {
	r, err := summarize([]byte(`[{"SpecReports": [{"LeafNodeType": "SynchronizedBeforeSuite", "State": "failed"}]}]`))
	if err != nil || len(r.Failed) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}
