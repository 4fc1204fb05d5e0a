import Foundation

/// The independent judge of captures: Wireshark's dissectors, run with a configuration that holds
/// the given keys and nothing else.
public enum Tshark {
    /// What is wrong with one frame.
    public struct Complaint: Hashable, Sendable, CustomStringConvertible {
        public var frame: Int
        public var text: String

        public var description: String { "frame \(frame): \(text)" }
    }

    public struct Verdict: Sendable {
        /// How many frames the capture has.
        public var frames: Int
        public var complaints: [Complaint]
        /// Secured APS acks: with no payload their integrity code is not checked by tshark.
        public var uncheckedAcks: Int
    }

    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    /// The fields of one frame that were asked for.
    public struct Row: Sendable {
        /// From 1, in the capture's order.
        public var frame: Int
        private var fields: [String: [String]]

        fileprivate init(frame: Int, fields: [String: [String]]) {
            self.frame = frame
            self.fields = fields
        }

        /// The field's values, in the order in which they occur; empty if the frame has none.
        public func all(_ field: String) -> [String] { fields[field] ?? [] }

        /// The field's first value, or nil.
        public subscript(field: String) -> String? { fields[field]?.first }
    }

    /// Judges every frame of a capture with `Tools/oracle/tshark_check.sh`, which says what it
    /// takes exception to.
    ///
    /// - Parameters:
    ///   - keys: a `zigbee_pc_keys` file or the folder that holds it.
    /// - Throws: `Failure` if the capture is damaged or empty, or tshark cannot be run.
    public static func judge(capture: String, keys: String) throws -> Verdict {
        let script = Reference.project.appending(path: "Tools/oracle/tshark_check.sh").path
        let run = try Command.run("bash", [script, capture, keys])
        var lines = run.output.split(separator: "\n").map(String.init)
        let counts = (lines.popLast() ?? "").split(separator: " ").compactMap { Int($0) }
        guard counts.count == 3, run.status == 0 || run.status == 1 else {
            throw Failure(description: "no verdict: status \(run.status), \(run.errors)")
        }
        guard run.errors.isEmpty else { throw Failure(description: run.errors) }
        let complaints = try lines.map { line in
            let parts = line.split(separator: "\t", maxSplits: 1)
            guard parts.count == 2, let frame = Int(parts[0]) else {
                throw Failure(description: "unexpected line: \(line)")
            }
            return Complaint(frame: frame, text: String(parts[1]))
        }
        let accepted = counts[0] > 0 && complaints.isEmpty
        guard counts[0] > 0, counts[1] == complaints.count, accepted == (run.status == 0) else {
            throw Failure(description: "status \(run.status) does not fit: \(run.output)")
        }
        return Verdict(frames: counts[0], complaints: complaints, uncheckedAcks: counts[2])
    }

    /// The fields of every frame, or of those that the display filter lets through.
    public static func rows(
        capture: String, keys: String, fields: [String], filter: String? = nil
    ) throws -> [Row] {
        let configuration = try TemporaryFolder()
        let source = URL(filePath: keys)
        let isFolder = try source.resourceValues(forKeys: [.isDirectoryKey]).isDirectory ?? false
        try FileManager.default.copyItem(
            at: isFolder ? source.appending(path: "zigbee_pc_keys") : source,
            to: configuration.url.appending(path: "zigbee_pc_keys"))
        // A character that no field holds, since values may have commas and spaces in them.
        let between = "\u{1F}"
        var arguments = [
            "-n", "-r", capture, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a",
            "-E", "aggregator=\(between)", "-e", "frame.number",
        ]
        for field in fields { arguments += ["-e", field] }
        if let filter { arguments += ["-Y", filter] }
        let run = try Command.run(
            "tshark", arguments,
            environment: [
                "HOME": configuration.path, "WIRESHARK_CONFIG_DIR": configuration.path,
                "LC_ALL": "C.UTF-8", "TZ": "UTC",
            ])
        guard run.status == 0 else { throw Failure(description: run.errors) }
        return try run.output.split(separator: "\n").map { line in
            let cells = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard cells.count == fields.count + 1, let frame = Int(cells[0]) else {
                throw Failure(description: "unexpected line: \(line)")
            }
            var values: [String: [String]] = [:]
            for (field, cell) in zip(fields, cells.dropFirst()) where !cell.isEmpty {
                values[field] = cell.components(separatedBy: between)
            }
            return Row(frame: frame, fields: values)
        }
    }
}
