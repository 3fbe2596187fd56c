package release

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/lab/internal/chart"
	"weftnet.io/weftnet/lab/internal/progress"
)

// images are those that the objects of a packed chart run.
func images(t *testing.T, version, registry string) (list []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), ChartFile)
	if err := packChart("../../../deploy/chart", file, version, registry); err != nil {
		t.Fatal(err)
	}
	objects, err := chart.Render(file, "v1.36.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		text, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(text), `"image":"`)[1:] {
			name, _, _ := strings.Cut(part, `"`)
			if strings.Contains(name, "weftnet/") {
				list = append(list, name)
			}
		}
		if v := o.GetLabels()["app.kubernetes.io/version"]; v != "" && v != version {
			t.Errorf("%s %s has version %s", o.GetKind(), o.GetName(), v)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestAPackedChartRunsTheImagesThatAreMadeWithIt(t *testing.T) {
	for _, c := range []struct {
		version, registry string
		want              []string
	}{
		{"v1.2.3", "", []string{"weftnet/agent:v1.2.3", "weftnet/operator:v1.2.3"}},
		{"0123456-dirty", "", []string{"weftnet/agent:0123456-dirty", "weftnet/operator:0123456-dirty"}},
		{"v1.2.3-4-gabc", "registry.example:5000/weftnet", []string{"registry.example:5000/weftnet/agent:v1.2.3-4-gabc", "registry.example:5000/weftnet/operator:v1.2.3-4-gabc"}},
	} {
		if have := images(t, c.version, c.registry); !slices.Equal(have, c.want) {
			t.Errorf("%s %s: %v, want %v", c.version, c.registry, have, c.want)
		}
	}
}

func TestTheChartOfACheckoutRunsTheImagesOfTheArchives(t *testing.T) {
	objects, err := chart.Render("../../../deploy/chart", "v1.36.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if text, _ := o.MarshalJSON(); strings.Contains(string(text), `"image":"weftnet/agent:`) && !strings.Contains(string(text), `"image":"weftnet/agent:`+Untagged+`"`) {
			t.Errorf("%s %s asks for another image than weftnet/agent:%s", o.GetKind(), o.GetName(), Untagged)
		}
	}
}

func TestAChartsVersionIsSemantic(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3-rc.1": "1.2.3-rc.1", "v1.2.3-4-gabc-dirty": "1.2.3-4-gabc-dirty",
		"dev": "0.1.0-gdev", "0123456": "0.1.0-g0123456", "0123456-dirty": "0.1.0-g0123456-dirty", "a_b": "0.1.0-ga-b",
	} {
		if have := chartVersion("0.1.0", version); have != want {
			t.Errorf("%s: %s, want %s", version, have, want)
		}
	}
}

func TestAVersionThatIsNoTagIsRefused(t *testing.T) {
	err := Release{Source: t.TempDir(), Out: t.TempDir(), Version: "v1+x"}.Make(t.Context(), progress.New(t.Output()))
	if err == nil || !strings.Contains(err.Error(), `"v1+x"`) {
		t.Errorf("%v", err)
	}
}
