package contract

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Problem is one thing to fix in a contract before anything may be generated from it.
type Problem struct {
	Position
	Message string // a sentence that names the thing and says how to fix it
}

// Position is a place in a proto file. Line and Column count from 1; 0 when the descriptors carry no source information.
type Position struct {
	File         string
	Line, Column int
}

// String is "file:line:col", as editors open it.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

func (p Position) under(root string) Position {
	p.File = path.Join(root, p.File)
	return p
}

// String is "file:line:col: message".
func (p Problem) String() string { return p.Position.String() + ": " + p.Message }

// Field numbers along the paths of SourceCodeInfo (descriptor.proto, options.proto, google/api/http.proto).
const (
	fileOptions   = 8
	methodOptions = 4
	optionNumber  = 50810    // both options of options.proto
	httpNumber    = 72295728 // google.api.http

	programName, programPort, programCalls, programNeeds, programEdge         = 1, 2, 3, 4, 5
	programDatabase, programSecrets, programObjectTypes, programRelationships = 6, 7, 8, 9
	programReasons                                                            = 10

	databaseSchemas, databaseOwner, databasePools                       = 1, 2, 3
	secretFile, secretVariable, secretKind, secretPrevious              = 1, 2, 3, 5
	objectTypeAllow, consentProgram, consentRelations, consentDeleteAll = 2, 1, 2, 3
	relationshipsRelations, relationshipsDeleteAll                      = 2, 3
	reasonName, reasonKind, reasonStatus, reasonSentence                = 1, 2, 3, 4

	methodAccess, methodAllow, methodAudit, methodLongLived, methodTimeout, methodHTTPStatus = 1, 2, 3, 4, 5, 6
	methodDuty, methodNoun, methodRate, methodVisitors, methodReasons, methodFreshSignIn     = 7, 8, 9, 10, 11, 12
	methodAccepted                                                                           = 13

	auditEvent, auditTrail                                 = 2, 3
	eventAction, eventObject, eventSecret, eventPersonal   = 1, 2, 3, 4
	accessSelf, accessPermission, selfField, relationField = 3, 4, 1, 3
)

// inFile is the position of a part of a program option.
func inFile(file protoreflect.FileDescriptor, part ...int32) Position {
	return locate(file, protoreflect.SourcePath{fileOptions, optionNumber}, part)
}

// in is the position of a part of a method's option.
func in(d protoreflect.MethodDescriptor, part ...int32) Position {
	return inOption(d, optionNumber, part...)
}

func inOption(d protoreflect.MethodDescriptor, number int32, part ...int32) Position {
	base := slices.Clone(d.ParentFile().SourceLocations().ByDescriptor(d).Path)
	return locate(d.ParentFile(), append(base, methodOptions, number), part)
}

// at is the position of a descriptor itself.
func at(d protoreflect.Descriptor) Position {
	return locate(d.ParentFile(), d.ParentFile().SourceLocations().ByDescriptor(d).Path, nil)
}

// locate finds the innermost known place on the way to base+part: compilers record option parts in different depth.
func locate(file protoreflect.FileDescriptor, base protoreflect.SourcePath, part []int32) Position {
	p := Position{File: file.Path()}
	steps := append(slices.Clone(base), part...)
	for ; len(steps) > 0; steps = steps[:len(steps)-1] {
		if loc := file.SourceLocations().ByPath(steps); loc.Path != nil {
			p.Line, p.Column = loc.StartLine+1, loc.StartColumn+1
			return p
		}
	}
	return p
}

func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Message, b.Message))
	})
}
