package lint

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/goldentest"
	"weftnet.io/weftnet/internal/manifest"
)

var known = Options{
	PodCIDRs:  []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")},
	NodeCIDRs: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")},
}

// findings checks files together.
func findings(t *testing.T, o Options, files ...string) []Finding {
	t.Helper()
	var objects []*manifest.Object
	var problems []manifest.Problem
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o, p := manifest.Read(filepath.Base(file), text)
		objects, problems = append(objects, o...), append(problems, p...)
	}
	return Check(objects, problems, o)
}

func print(findings []Finding) string {
	var out strings.Builder
	for _, f := range findings {
		out.WriteString(f.String() + "  [" + f.Check + "]\n")
	}
	return out.String()
}

func TestPoliciesAreToldAboutAsTheGoldenFilesSay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) { goldentest.Equal(t, "testdata/"+name+".txt", print(findings(t, known, file))) })
	}
}

func TestPoliciesOfUsersAreToldAboutAsTheGoldenFileSays(t *testing.T) {
	folder := filepath.Join("..", "..", "test", "manifest", "policies")
	files, _ := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if len(files) == 0 {
		t.Fatalf("no policies in %s", folder)
	}
	goldentest.Equal(t, "testdata/users.txt", print(findings(t, Options{}, files...)))
}

// The idioms that documentation and recipes of the field show, each by itself, as its reader would check it.
func TestWhatTheFieldShowsIsToldAboutAsTheGoldenFilesSay(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no corpus", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			objects, problems := manifest.Read(filepath.Base(file), text)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var have strings.Builder
			for _, o := range objects {
				have.WriteString("# " + o.Title() + "\n" + print(Check([]*manifest.Object{o}, nil, Options{})))
			}
			goldentest.Equal(t, "testdata/corpus/"+name+".txt", have.String())
		})
	}
}

func TestTheOrderOfFilesAndDocumentsDoesNotMatter(t *testing.T) {
	text, err := os.ReadFile("testdata/traps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, _ := manifest.Read("f", text)
	forward := print(Check(objects, nil, known))
	slices.Reverse(objects)
	if backward := print(Check(objects, nil, known)); forward != backward {
		t.Errorf("%s\nis not\n%s", forward, backward)
	}
}

func FuzzCheck(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		objects, problems := manifest.Read("f", text)
		for _, finding := range Check(objects, problems, known) {
			if finding.Line < 1 || finding.Column < 1 || finding.Does == "" || !slices.Contains(Severities, finding.Severity) {
				t.Fatalf("%+v", finding)
			}
		}
	})
}
