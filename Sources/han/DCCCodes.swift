import DCC
import DUIS

extension DCCSettings {
    /// Throws for a code that the schema of DUIS has not: no response could bear it. `name` is what
    /// the settings were read from.
    func checkCodes(_ name: String) throws(Failure) {
        let responses = codes.changed.map { ("codes.\($0.rawValue)", $1.rawValue) }
        let alerts = alertCodes.changed.map { ("alertCodes.\($0.rawValue)", $1.rawValue) }
        let wrong =
            responses.filter { !DUISVocabulary.responseCodes.contains($0.1) }
            + alerts.filter { !DUISVocabulary.alertCodes.contains($0.1) }
        guard let (field, code) = wrong.min(by: { $0.0 < $1.0 }) else { return }
        throw Failure(
            .data,
            "\(name): \(field) is '\(code)', which is no code of the schema of DUIS; name "
                + "one that it has, or leave the line out")
    }
}
