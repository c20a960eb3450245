"""Folders as Aff-Wild2 is distributed, and what is wrong with others, by name."""

import pytest

from maven_ros.errors import ResourceError
from maven_ros.training.affwild2.layout import find_crops, find_layout, read_crops


@pytest.fixture
def folders(tmp_path):
    """Empty files in the layout."""
    for path in ('videos/batch1/1-30-1280x720.mp4', 'videos/batch2/video59.avi',
                 'videos/new/alone.mp4', 'videos/batch1/._1-30-1280x720.mp4',
                 'labels/VA_Estimation_Challenge/Train_Set/1-30-1280x720.txt',
                 'labels/VA_Estimation_Challenge/Validation_Set/video59_left.txt',
                 'labels/VA_Estimation_Challenge/Validation_Set/video59_right.txt',
                 'labels/VA_Estimation_Challenge/Validation_Set/lost.txt',
                 'labels/EXPR_Classification_Challenge/Train_Set/1-30-1280x720.txt',
                 'crops/batch1/1-30-1280x720/00001.jpg', 'crops/video59_left/00012.png',
                 'crops/video59_left/.DS_Store'):
        write(tmp_path / path)
    return tmp_path


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def found(folder, **more):
    return find_layout(folder / 'videos', folder / 'labels', **more)


def test_videos_annotations_and_crops_are_found_and_matched(folders):
    layout = found(folders, crops=folders / 'crops')
    assert list(layout.videos) == ['1-30-1280x720', 'alone', 'video59']
    [one] = layout.subjects['1-30-1280x720']
    assert (one.person, one.side, one.split) == ('1-30-1280x720', '', 'train')
    assert [(one.person, one.side, one.split) for one in layout.subjects['video59']] == [
        ('video59_left', 'left', 'valid'), ('video59_right', 'right', 'valid')]
    assert layout.without_annotation == ('alone',)
    assert [one.person for one in layout.without_video] == ['lost']
    assert layout.crops.keys() == {'1-30-1280x720', 'video59_left'}
    assert list(read_crops(layout.crops['video59_left'])) == [12]


def test_a_track_by_itself_will_do(folders):
    own = folders / 'labels/VA_Estimation_Challenge'
    assert find_layout(folders / 'videos', own).subjects.keys() == {'1-30-1280x720', 'video59'}


def test_another_layout_is_refused_with_what_was_expected_and_found(folders, tmp_path):
    with pytest.raises(ResourceError, match=r'gone: cannot be read: No such file or directory; '
                                            'expected folders such as batch1'):
        find_layout(folders / 'gone', folders / 'labels')
    with pytest.raises(ResourceError, match=r'labels: expected folders such as batch1 and batch2 '
                                            r'with NAME.mp4 or NAME.avi; found EXPR_Class\w+/'):
        find_layout(folders / 'labels', folders / 'labels')
    with pytest.raises(ResourceError, match=r'videos: expected Train_Set and Validation_Set with '
                                            r'NAME.txt, in it .* found batch1/, batch2/, new/'):
        find_layout(folders / 'videos', folders / 'videos')
    with pytest.raises(ResourceError, match=r'expected NAME/00001.jpg, or .*; found batch1/'):
        find_crops(folders / 'videos')
    write(tmp_path / 'other/a.mp4')
    with pytest.raises(ResourceError, match=r'none of its 4 files, such as 1-30-1280x720.txt, has '
                                            r'the name of a video in .*other, such as a;'):
        find_layout(tmp_path / 'other', folders / 'labels')


def test_names_that_are_there_twice_are_refused(folders):
    write(folders / 'videos/batch2/1-30-1280x720.avi')
    with pytest.raises(ResourceError, match=r'duplicate names: batch1/1-30-1280x720.mp4 and '
                                            r'batch2/1-30-1280x720.avi; allowed: each name'):
        found(folders)
    (folders / 'videos/batch2/1-30-1280x720.avi').unlink()
    write(folders / 'labels/VA_Estimation_Challenge/Validation_Set/1-30-1280x720.txt')
    with pytest.raises(ResourceError, match=r'names: VA_Estimation_Challenge/Train_Set/1-30'):
        found(folders)
