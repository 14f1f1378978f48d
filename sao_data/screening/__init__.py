"""Copyright screening: which recordings are music, and is any of it known? (paper 2.2)

    recordings -music_seconds-> Tagged -is_music-> MusicWork -identify-> Objection, Sent

`Sent` is the audit: what left this machine, to whom, and what came back. By default nothing leaves it.

Imports: the vocabulary, licences, storage.
"""

from sao_data.screening.config import Screening
from sao_data.screening.identify import identify
from sao_data.screening.ready import check_ready
from sao_data.screening.rows import AuditRow, Hit, MusicWork, Tagged

__all__ = ["AuditRow", "Hit", "MusicWork", "Screening", "Tagged", "check_ready", "identify"]
