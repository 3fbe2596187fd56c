// Protogen makes Go of the protobuf files of the API: NAME.pb.go and NAME_grpc.pb.go beside each NAME.proto below a folder. It is a
// module of its own, so that its dependencies never move those of the programs, and needs no protoc: files are compiled in Go, and
// the plugins are those of protobuf-go and grpc-go at the versions of its go.mod.
//
//	go run -C tools/protogen . -root ../../api -import DIR
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	root := flag.String("root", "", "folder of the API: what imports name begins there")
	imports := flag.String("import", "", "another folder where imports are looked for")
	flag.Parse()
	if err := run(*root, *imports); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(root, imports string) error {
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".proto") {
			name, err := filepath.Rel(root, path)
			names = append(names, filepath.ToSlash(name))
			return err
		}
		return err
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("no .proto file there: %s", root)
	}
	if err != nil {
		return err
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{root, imports}}),
		SourceInfoMode: protocompile.SourceInfoStandard, // comments
	}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return err
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: names, Parameter: proto.String("paths=source_relative")}
	known := map[string]bool{}
	for _, f := range files {
		request.ProtoFile = collect(request.ProtoFile, known, f)
	}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		if err := generate(plugin, request, root); err != nil {
			return fmt.Errorf("%s: %w", plugin, err)
		}
	}
	return nil
}

// collect adds a file after those that it imports.
func collect(all []*descriptorpb.FileDescriptorProto, known map[string]bool, f protoreflect.FileDescriptor) []*descriptorpb.FileDescriptorProto {
	if known[f.Path()] {
		return all
	}
	known[f.Path()] = true
	imports := f.Imports()
	for i := range imports.Len() {
		all = collect(all, known, imports.Get(i).FileDescriptor)
	}
	return append(all, protoutil.ProtoFromFileDescriptor(f))
}

// generate runs a plugin and writes what it answers.
func generate(plugin string, request *pluginpb.CodeGeneratorRequest, root string) error {
	in, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	command := exec.Command("go", "tool", plugin)
	command.Stdin, command.Stderr = bytes.NewReader(in), os.Stderr
	out, err := command.Output()
	if err != nil {
		return err
	}
	var answer pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return fmt.Errorf("%s", answer.GetError())
	}
	for _, f := range answer.GetFile() {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(f.GetName())), []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
