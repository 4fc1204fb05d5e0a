import CXML
import Glibc

/// The published schema, `duis.xsd` with what it imports from its own folder, as libxml2 applies
/// it. Many threads may use one.
public final class DUISSchema: @unchecked Sendable {
    private let pointer: xmlSchemaPtr

    public struct Unusable: Error, CustomStringConvertible, Sendable {
        public var description: String
    }

    /// Reads `duis.xsd`; what it imports is looked for beside it, and nothing is fetched.
    public init(path: String) throws(Unusable) {
        XMLLibraries.start()
        guard access(path, R_OK) == 0 else {
            throw Unusable(
                description: "'\(path)' cannot be read: \(String(cString: strerror(errno)))")
        }
        // Nothing that libxml2 is given here is a name of the network's, and no document of
        // anybody else's says what is read.
        guard let parser = xmlSchemaNewParserCtxt(path) else { fatalError("memory ran out") }
        defer { xmlSchemaFreeParserCtxt(parser) }
        let errors = FirstError()
        xmlSchemaSetParserStructuredErrors(
            parser, FirstError.note, Unmanaged.passUnretained(errors).toOpaque())
        guard let schema = xmlSchemaParse(parser) else {
            throw Unusable(
                description: "'\(path)' is no schema that can be used: "
                    + (errors.words ?? "libxml2 does not say why"))
        }
        pointer = schema
        withExtendedLifetime(errors) {}
    }

    deinit { xmlSchemaFree(pointer) }

    /// Throws what is wrong first.
    func validate(_ tree: XMLTree, longTexts: [LongText]) throws(Fault) {
        guard let context = xmlSchemaNewValidCtxt(pointer) else { fatalError("memory ran out") }
        defer { xmlSchemaFreeValidCtxt(context) }
        let errors = FirstError()
        xmlSchemaSetValidStructuredErrors(
            context, FirstError.note, Unmanaged.passUnretained(errors).toOpaque())
        let verdict = LongText.withStandIns(longTexts) {
            xmlSchemaValidateDoc(context, tree.pointer)
        }
        withExtendedLifetime(errors) {}
        guard verdict == 0 else {
            throw Fault("not of the schema: \(errors.words ?? "libxml2 does not say why")")
        }
    }
}

/// The first error that libxml2 tells of.
private final class FirstError {
    private(set) var words: String?

    static let note: xmlStructuredErrorFunc = { place, error in
        guard let place, let error, error.pointee.level.rawValue >= XML_ERR_ERROR.rawValue else {
            return
        }
        let first = Unmanaged<FirstError>.fromOpaque(place).takeUnretainedValue()
        guard first.words == nil else { return }
        let message = error.pointee.message.map { String(cString: $0) } ?? ""
        first.words = "line \(error.pointee.line): \(quoted(message, limit: 300))"
    }
}
