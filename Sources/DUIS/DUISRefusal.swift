import DCC

/// Why bytes are not a service request that can be handed on, or not a response that can be read.
public struct DUISRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public var situation: ResponseCodes.Situation
    /// A sentence: what is wrong, where, and what was expected.
    public var detail: String
    /// What could be read of the header all the same.
    public var header: PartialHeader

    /// The parts of a request's header, those that are there and well formed.
    public struct PartialHeader: Hashable, Sendable {
        public var id: RequestID?
        /// The id as it is written: an answer repeats it.
        public var idText: String?
        /// One of the schema's.
        public var reference: String?
        /// One of the schema's.
        public var variant: String?

        public init() {}
    }

    public init(
        _ situation: ResponseCodes.Situation, _ detail: String,
        header: PartialHeader = PartialHeader()
    ) {
        self.situation = situation
        self.detail = detail
        self.header = header
    }

    public var description: String { detail }
}

/// What is wrong in a document, before it is known whose request it is.
struct Fault: Error {
    var situation: ResponseCodes.Situation
    var detail: String

    init(_ situation: ResponseCodes.Situation, _ detail: String) {
        self.situation = situation
        self.detail = detail
    }

    init(_ detail: String) { self.init(.malformed, detail) }
}

/// Text of somebody else's in a message: short, and on one line.
func quoted(_ text: some StringProtocol, limit: Int = 60) -> String {
    var shown = ""
    for scalar in text.unicodeScalars.prefix(limit) {
        shown.unicodeScalars.append(
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? " " : scalar)
    }
    return "'\(shown)'" + (text.unicodeScalars.count > limit ? "..." : "")
}
