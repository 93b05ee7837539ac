package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// release is what is asked for.
type release struct {
	Version  string   `required:"" help:"vX.Y.Z, as the tag of the commit is or will be."`
	Root     string   `default:"." help:"Folder of the checkout."`
	Out      string   `default:"dist" help:"Folder for what is made; what is in it goes." type:"path"`
	Programs []string `arg:"" help:"Packages of the programs, such as ./cmd/gatehouse."`
}

// architectures are those of Linux that programs are built for.
func architectures() []string { return []string{"amd64", "arm64"} }

// sitePaths are what a site needs beside the programs. What a commit does not have is left out.
func sitePaths() []string {
	return []string{"LICENSE", "CHANGELOG.md", "README.md", "docs", "consul", "nomad", "terraform"}
}

func (r release) run(ctx context.Context, progress func(format string, args ...any)) error {
	commit, err := r.look(ctx)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(r.Out); err != nil {
		return fmt.Errorf("remove what was made before: %w", err)
	}
	if err := os.MkdirAll(r.Out, 0o755); err != nil { //nolint:gosec // to be handed out
		return fmt.Errorf("make the folder of the release: %w", err)
	}
	work, err := os.MkdirTemp(r.Out, ".building-")
	if err != nil {
		return fmt.Errorf("make a folder for the programs: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	var sums bytes.Buffer
	add := func(name string, content []byte) error {
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(hash(content)), name)
		progress("%s (%.1f MB)", name, float64(len(content))/1e6)
		return r.write(name, content)
	}
	var built []program
	for _, architecture := range architectures() {
		progress("building for linux/%s", architecture)
		programs, err := r.build(ctx, commit, work, architecture)
		if err != nil {
			return err
		}
		built = append(built, programs...)
		files := []file{{name: "LICENSE", path: filepath.Join(r.Root, "LICENSE"), mode: 0o644}}
		for _, p := range programs {
			files = append(files, file{name: p.name, path: p.path, mode: 0o755})
		}
		content, err := archive(files, commit.time)
		if err != nil {
			return err
		}
		if err := add(fmt.Sprintf("gatehouse_%s_linux_%s.tar.gz", r.Version, architecture), content); err != nil {
			return err
		}
	}
	content, err := r.site(ctx, commit)
	if err != nil {
		return err
	}
	if err := add(fmt.Sprintf("gatehouse_%s_site.tar.gz", r.Version), content); err != nil {
		return err
	}
	if content, err = materials(r.Version, commit, built); err != nil {
		return err
	}
	if err := add(fmt.Sprintf("gatehouse_%s_sbom.cdx.json", r.Version), content); err != nil {
		return err
	}
	return r.write("SHA256SUMS", sums.Bytes())
}

// site is the archive of what runs nowhere: files of the commit below one folder, and no Go.
func (r release) site(ctx context.Context, commit commit) ([]byte, error) {
	names, err := r.files(ctx, sitePaths())
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, ".go") })
	var files []file
	for _, name := range names {
		files = append(files, file{name: "gatehouse_" + r.Version + "/" + name, path: filepath.Join(r.Root, name), mode: 0o644})
	}
	return archive(files, commit.time)
}

func (r release) write(name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(r.Out, name), content, 0o644); err != nil { //nolint:gosec // to be handed out
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func hash(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:]
}
