package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"weftnet.io/weftnet/deploy"
)

// kind is what an API server would know of one version of one CRD.
type kind struct {
	schema     *schema.Structural
	validator  validation.SchemaValidator
	cel        *cel.Validator
	namespaced bool
}

func crdFiles(t *testing.T) [][]byte {
	t.Helper()
	docs, err := deploy.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) != 19 {
		t.Fatalf("%d CRDs embedded, want 19", len(docs))
	}
	return docs
}

func internalCRDs(t *testing.T) []*apiextensions.CustomResourceDefinition {
	t.Helper()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	var crds []*apiextensions.CustomResourceDefinition
	for _, doc := range crdFiles(t) {
		var v1 apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(doc, &v1); err != nil {
			t.Fatalf("decode CRD: %v", err)
		}
		scheme.Default(&v1)
		// The API server records which versions may be stored; validation asks.
		for _, version := range v1.Spec.Versions {
			if version.Storage {
				v1.Status.StoredVersions = append(v1.Status.StoredVersions, version.Name)
			}
		}
		crd := &apiextensions.CustomResourceDefinition{}
		if err := scheme.Convert(&v1, crd, nil); err != nil {
			t.Fatalf("convert CRD %s: %v", v1.Name, err)
		}
		crds = append(crds, crd)
	}
	return crds
}

// kinds returns the schemas by "apiVersion/Kind".
func kinds(t *testing.T) map[string]*kind {
	t.Helper()
	all := map[string]*kind{}
	for _, crd := range internalCRDs(t) {
		for _, version := range crd.Spec.Versions {
			props, err := apiextensions.GetSchemaForVersion(crd, version.Name)
			if err != nil {
				t.Fatalf("%s %s: %v", crd.Name, version.Name, err)
			}
			structural, err := schema.NewStructural(props.OpenAPIV3Schema)
			if err != nil {
				t.Fatalf("%s %s is not structural: %v", crd.Name, version.Name, err)
			}
			validator, _, err := validation.NewSchemaValidator(props.OpenAPIV3Schema)
			if err != nil {
				t.Fatalf("%s %s: %v", crd.Name, version.Name, err)
			}
			all[crd.Spec.Group+"/"+version.Name+"/"+crd.Spec.Names.Kind] = &kind{
				schema: structural, validator: validator,
				cel:        cel.NewValidator(structural, true, celconfig.PerCallLimit),
				namespaced: crd.Spec.Scope == apiextensions.NamespaceScoped,
			}
		}
	}
	return all
}

// admit does what the API server does with an object: it validates it by schema
// and by rules, and reports the fields that it would drop in silence.
func (k *kind) admit(t *testing.T, obj map[string]any) field.ErrorList {
	t.Helper()
	errs := validation.ValidateCustomResource(nil, obj, k.validator)
	if k.cel != nil {
		more, _ := k.cel.Validate(t.Context(), nil, k.schema, obj, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, more...)
	}
	pruned := pruning.PruneWithOptions(runtime.DeepCopyJSON(obj), k.schema, true,
		schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range pruned {
		errs = append(errs, field.Forbidden(field.NewPath(path), "unknown field, would be dropped"))
	}
	return errs
}

func decodeAll(t *testing.T, text []byte) []map[string]any {
	t.Helper()
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var objs []map[string]any
	for {
		var u unstructured.Unstructured
		err := decoder.Decode(&u)
		if errors.Is(err, io.EOF) {
			return objs
		}
		if err != nil {
			t.Fatalf("decode: %v\n%s", err, text)
		}
		if u.Object != nil {
			objs = append(objs, u.Object)
		}
	}
}

func TestAnAPIServerAcceptsEveryCRD(t *testing.T) {
	for _, crd := range internalCRDs(t) {
		if errs := crdvalidation.ValidateCustomResourceDefinition(t.Context(), crd); len(errs) > 0 {
			t.Errorf("%s: %v", crd.Name, errs.ToAggregate())
		}
	}
}

func TestNoSchemaKeepsUnknownFields(t *testing.T) {
	for _, doc := range crdFiles(t) {
		if bytes.Contains(doc, []byte("preserve-unknown-fields")) {
			t.Errorf("a schema keeps unknown fields:\n%.200s", doc)
		}
	}
}

func TestCRDsFitIntoTheLastAppliedAnnotation(t *testing.T) {
	// kubectl apply (client side) stores the object in an annotation of at most
	// 256 KiB. All annotations of an object share that room.
	for _, doc := range crdFiles(t) {
		if js, err := yaml.YAMLToJSON(doc); err != nil || len(js) > 240<<10 {
			t.Errorf("CRD of %d bytes, %v:\n%.200s", len(js), err, doc)
		}
	}
}

func TestSampleManifestsAreAcceptedWhole(t *testing.T) {
	known := kinds(t)
	seen := map[string]int{}
	err := filepath.WalkDir(manifests, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte("cilium.io")) && !bytes.Contains(text, []byte("k8s.cni.cncf.io/v1\n")) {
			return nil
		}
		for i, obj := range decodeAll(t, text) {
			name := fmt.Sprint(obj["apiVersion"], "/", obj["kind"])
			k := known[name]
			if k == nil {
				if strings.Contains(name, "cilium.io/") || strings.Contains(name, "cncf.io/") {
					t.Errorf("%s: document %d: no CRD for %s", path, i, name)
				}
				continue
			}
			seen[name]++
			if errs := k.admit(t, obj); len(errs) > 0 {
				t.Errorf("%s: document %d (%s): %v", path, i, name, errs.ToAggregate())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("accepted: %v", seen)
	if len(seen) < 5 {
		t.Errorf("only these kinds were seen: %v", seen)
	}
}

func TestSchemasAcceptTheWholeLanguage(t *testing.T) {
	checkCases(t, "testdata/accept", func(t *testing.T, errs field.ErrorList, _ []byte) {
		if len(errs) > 0 {
			t.Error(errs.ToAggregate())
		}
	})
}

func TestSchemasRejectMistakesAndNameTheField(t *testing.T) {
	checkCases(t, "testdata/reject", func(t *testing.T, errs field.ErrorList, text []byte) {
		// The first line of each file: # error: <part of the message>
		first, _, _ := strings.Cut(string(text), "\n")
		want, ok := strings.CutPrefix(first, "# error: ")
		if !ok {
			t.Fatalf("first line %q, want # error: …", first)
		}
		if err := errs.ToAggregate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	})
}

func checkCases(t *testing.T, dir string, check func(*testing.T, field.ErrorList, []byte)) {
	known := kinds(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, obj := range decodeAll(t, text) {
				k := known[fmt.Sprint(obj["apiVersion"], "/", obj["kind"])]
				if k == nil {
					t.Fatalf("no CRD for %v %v", obj["apiVersion"], obj["kind"])
				}
				check(t, k.admit(t, obj), text)
			}
		})
	}
}
